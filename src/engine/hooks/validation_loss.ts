import type { Random } from '../../data/random.js';
import type { TrainingSample } from '../../structures/training_sample.js';
import type { Trainer } from '../trainer.js';
import type { Hook } from './hook.js';

/** Settings of {@link ValidationLoss}. */
export interface ValidationLossOptions {
  readonly period: number;
  /** The same batches every time, made anew. */
  readonly batches: () => AsyncIterable<readonly TrainingSample[]>;
  /** Losses by name, without gradients. */
  readonly losses: (samples: readonly TrainingSample[], random: Random) => Promise<Readonly<Record<string, number>>>;
  /** Draws the same samples every time. */
  readonly random: Random;
}

/** Measures the mean losses on pictures that are not trained on: `validation/loss_cls`, ..., `validation/total_loss`. */
export class ValidationLoss implements Hook {
  constructor(private readonly options: ValidationLossOptions) {}

  async afterStep(trainer: Trainer): Promise<void> {
    const { period, batches, losses, random } = this.options;
    if (trainer.iteration % period !== 0 && trainer.iteration !== trainer.options.iterations) return;
    const sums: Record<string, number> = {};
    let count = 0;
    for await (const batch of batches()) {
      if (trainer.stopSignal.aborted) return;
      for (const [name, value] of Object.entries(await losses(batch, random.fork(count)))) sums[name] = (sums[name] ?? 0) + value;
      count++;
    }
    if (count === 0) return;
    for (const [name, sum] of Object.entries(sums)) trainer.scalars.put(`validation/${name}`, sum / count, false);
    const total = Object.values(sums).reduce((a, b) => a + b, 0) / count;
    trainer.scalars.put('validation/total_loss', total, false);
    trainer.scalars.due = true;
  }
}
