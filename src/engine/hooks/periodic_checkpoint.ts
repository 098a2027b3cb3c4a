import { join } from 'node:path';
import {
  type AboutModel,
  checkpointName,
  checkpointsIn,
  namesIn,
  removeFiles,
  setLastCheckpoint,
  writeTrainingCheckpoint,
} from '../training_checkpoint.js';
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

  /**
   * A hook to stand in front of one that takes long, such as an evaluation: where both are due it saves first, so that what fails there costs
   * nothing. This hook saves once more behind it, with its outcome.
   */
  before(long: { isDue(trainer: Trainer): boolean }): Hook {
    return {
      afterStep: async (trainer) => {
        if (trainer.iteration % this.options.period === 0 && long.isDue(trainer)) await this.save(trainer);
      },
    };
  }

  private async save(trainer: Trainer): Promise<void> {
    const { folder, keep, about, onSaved } = this.options;
    const isNew = trainer.iteration !== this.saved;
    const name = checkpointName(trainer.iteration);
    await writeTrainingCheckpoint(join(folder, name), trainer, about);
    await setLastCheckpoint(folder, name);
    this.saved = trainer.iteration;
    const files = await checkpointsIn(folder);
    // What lies ahead is of a future that a run which was set back has left.
    const ahead = files.filter((file) => file > name);
    const old = files.slice(0, Math.max(0, files.length - ahead.length - keep));
    await removeFiles([...ahead, ...old].map((file) => join(folder, file)));
    if (isNew) onSaved?.(join(folder, name), trainer.iteration);
  }
}

/** A temporary file of `writeFileAtomic`. */
const HALF_WRITTEN = /\.safetensors\.\d+\.[0-9a-f]{8}\.tmp$/;
