import type { Trainer, TrainOutcome, TrainStep } from '../trainer.js';
import type { Writer } from '../writers/writer.js';
import type { Hook } from './hook.js';

/** Hands the numbers of the run to writers every `period` steps, with every evaluation and at its end. Stands behind the hooks that measure. */
export class PeriodicWriter implements Hook {
  constructor(
    private readonly writers: readonly Writer[],
    private readonly period = 20,
  ) {}

  async beforeTrain(trainer: Trainer): Promise<void> {
    for (const writer of this.writers) await writer.open?.(trainer.iteration);
  }

  async afterStep(trainer: Trainer, { iteration }: TrainStep): Promise<void> {
    const ended = trainer.iteration === trainer.options.iterations;
    if (trainer.iteration % this.period === 0 || ended || trainer.scalars.due) await this.write(trainer, iteration);
  }

  async afterTrain(trainer: Trainer, _outcome: TrainOutcome): Promise<void> {
    if (trainer.iteration > 0) await this.write(trainer, trainer.iteration - 1);
    for (const writer of this.writers) await writer.close?.();
  }

  private async write(trainer: Trainer, iteration: number): Promise<void> {
    const scalars = trainer.scalars.take();
    if (Object.keys(scalars).length === 0) return;
    const seconds = trainer.scalars.get('time');
    if (seconds !== undefined) scalars.eta_seconds = seconds * (trainer.options.iterations - iteration - 1);
    scalars.memory_mb = processMegabytes();
    for (const writer of this.writers) await writer.write(iteration, scalars);
  }
}

/** Resident memory of this process; 0 in a browser. */
function processMegabytes(): number {
  return typeof process === 'undefined' ? 0 : Math.round(process.memoryUsage.rss() / 2 ** 20);
}
