import type { Trainer } from '../trainer.js';
import type { Hook } from './hook.js';
import { withAverage } from './periodic_evaluation.js';

/** Writes the model that prediction uses every `period` steps and at the end: for runs without pictures to judge it on. */
export class KeepModel implements Hook {
  private kept = -1;

  constructor(
    private readonly period: number,
    private readonly write: () => Promise<void>,
  ) {}

  async afterStep(trainer: Trainer): Promise<void> {
    if (trainer.iteration % this.period === 0) await this.keep(trainer);
  }

  async afterTrain(trainer: Trainer): Promise<void> {
    if (trainer.iteration > 0 && trainer.iteration !== this.kept) await this.keep(trainer);
  }

  private async keep(trainer: Trainer): Promise<void> {
    await withAverage(trainer, this.write);
    this.kept = trainer.iteration;
  }
}
