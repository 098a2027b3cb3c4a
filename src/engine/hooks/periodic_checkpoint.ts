import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type AboutModel, removeFiles, setLastCheckpoint, writeTrainingCheckpoint } from '../training_checkpoint.js';
import type { Trainer } from '../trainer.js';
import type { Hook } from './hook.js';

/** Settings of {@link PeriodicCheckpoint}. */
export interface CheckpointOptions {
  /** The run's folder; checkpoints lie in `checkpoints/` there. */
  readonly folder: string;
  /** Steps between checkpoints. */
  readonly period: number;
  /** How many are kept. */
  readonly keep: number;
  readonly about: AboutModel;
  /** Told of every file written. */
  readonly onSaved?: (path: string, iteration: number) => void;
}

/**
 * Writes a checkpoint every `period` steps and at the end, also of a run that is stopped. A file is complete before `last_checkpoint` names it,
 * and older ones go after that: a crash at any moment leaves a whole one. Stands behind the hooks whose state it keeps.
 */
export class PeriodicCheckpoint implements Hook {
  private saved = -1;

  constructor(private readonly options: CheckpointOptions) {}

  async beforeTrain(trainer: Trainer): Promise<void> {
    if (trainer.iteration > 0) this.saved = trainer.iteration;
    // What a killed run had half written.
    const { folder } = this.options;
    for (const part of [folder, join(folder, 'checkpoints')])
      await removeFiles((await namesIn(part)).filter((name) => HALF_WRITTEN.test(name)).map((name) => join(part, name)));
  }

  async afterStep(trainer: Trainer): Promise<void> {
    if (trainer.iteration % this.options.period === 0) await this.save(trainer);
  }

  async afterTrain(trainer: Trainer): Promise<void> {
    if (trainer.iteration !== this.saved) await this.save(trainer);
  }

  private async save(trainer: Trainer): Promise<void> {
    const { folder, keep, about, onSaved } = this.options;
    const name = `checkpoints/iteration_${String(trainer.iteration).padStart(7, '0')}.safetensors`;
    await writeTrainingCheckpoint(join(folder, name), trainer, about);
    await setLastCheckpoint(folder, name);
    this.saved = trainer.iteration;
    const files = (await namesIn(join(folder, 'checkpoints'))).filter((file) => /^iteration_\d+\.safetensors$/.test(file)).sort();
    // Files of iterations to come are of a run that was resumed from an earlier one: they are no longer this run's.
    const older = files.filter((file) => `checkpoints/${file}` !== name);
    await removeFiles(older.slice(0, Math.max(0, files.length - keep)).map((file) => join(folder, 'checkpoints', file)));
    onSaved?.(join(folder, name), trainer.iteration);
  }
}

/** A temporary file of `writeFileAtomic`. */
const HALF_WRITTEN = /\.safetensors\.\d+\.[0-9a-f]{8}\.tmp$/;

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
