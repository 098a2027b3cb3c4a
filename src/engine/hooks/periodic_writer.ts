import type { Trainer, TrainOutcome, TrainStep } from '../trainer.js';
import type { Writer } from '../writers/writer.js';
import type { Hook } from './hook.js';

/** Where steps are slow a row is written after so many milliseconds, whatever the period. */
const LONGEST = 30_000;

/**
 * Hands the numbers of the run to writers every `period` steps, every half minute where steps are slow, with every evaluation and at its end.
 * Stands behind the hooks that measure.
 */
export class PeriodicWriter implements Hook {
  /** Of the last row, of the last call, and the seconds and steps that this process has spent. */
  private written = 0;
  private called = 0;
  private beside = 0;
  private steps = 0;

  constructor(
    private readonly writers: readonly Writer[],
    private readonly period = 20,
  ) {}

  async beforeTrain(trainer: Trainer): Promise<void> {
    for (const writer of this.writers) await writer.open?.(trainer.iteration);
    this.written = this.called = nowOf(trainer);
    // An evaluation that a killed run had still to make.
    if (trainer.scalars.due) await this.write(trainer, trainer.iteration - 1);
  }

  async afterStep(trainer: Trainer, { iteration, seconds }: TrainStep): Promise<void> {
    const now = nowOf(trainer);
    this.beside += (now - this.called) / 1000 - seconds;
    this.called = now;
    this.steps++;
    const ended = trainer.iteration === trainer.options.iterations;
    const late = now - this.written >= LONGEST;
    if (trainer.iteration % this.period === 0 || ended || late || trainer.scalars.due) await this.write(trainer, iteration);
  }

  async afterTrain(trainer: Trainer, _outcome: TrainOutcome): Promise<void> {
    if (trainer.iteration > 0) await this.write(trainer, trainer.iteration - 1);
    for (const writer of this.writers) await writer.close?.();
  }

  async afterError(trainer: Trainer, error: unknown): Promise<void> {
    try {
      if (trainer.iteration > 0) await this.write(trainer, trainer.iteration - 1);
    } finally {
      for (const writer of this.writers) await writer.close?.(error);
    }
  }

  private async write(trainer: Trainer, iteration: number): Promise<void> {
    const scalars = trainer.scalars.take();
    if (Object.keys(scalars).length === 0) return;
    this.written = nowOf(trainer);
    const seconds = trainer.scalars.get('time');
    // Evaluations and checkpoints take their share of what is to come as of what was.
    const beside = this.steps === 0 ? 0 : Math.max(0, this.beside / this.steps);
    if (seconds !== undefined) scalars.eta_seconds = (seconds + beside) * (trainer.options.iterations - iteration - 1);
    scalars.memory_mb = processMegabytes();
    for (const writer of this.writers) await writer.write(iteration, scalars);
  }
}

function nowOf({ options: { now } }: Trainer): number {
  return (now ?? (() => performance.now()))();
}

/** Resident memory of this process; 0 in a browser. */
function processMegabytes(): number {
  return typeof process === 'undefined' ? 0 : Math.round(process.memoryUsage.rss() / 2 ** 20);
}
