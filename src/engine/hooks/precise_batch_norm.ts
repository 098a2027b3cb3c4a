import type { Random } from '../../data/random.js';
import type { MetaArchitecture } from '../../meta_arch/meta_architecture.js';
import type { Permutations } from '../../rpn/subsample_labels.js';
import type { TrainingSample } from '../../structures/training_sample.js';
import { updatePopulationStatistics } from '../population_statistics.js';
import type { Trainer } from '../trainer.js';
import type { Hook } from './hook.js';
import { withAverage } from './periodic_evaluation.js';

/** Settings of {@link PreciseBatchNorm}. */
export interface PreciseBatchNormOptions {
  readonly model: MetaArchitecture;
  /** Steps between; the end of a run always has it. */
  readonly period: number;
  /** Batches that are not trained on, made anew for an iteration. */
  readonly batches: (iteration: number) => AsyncIterable<readonly TrainingSample[]>;
  readonly random: Random;
  /** What draws the samples of a batch. */
  readonly order: (random: Random) => Permutations;
}

/**
 * Gives the batch norms the statistics of the model as it is before it is evaluated or kept, as Detectron2's `PreciseBN`. Where a moving average is
 * judged, they are those of the average. Processes that learn together have theirs averaged.
 */
export class PreciseBatchNorm implements Hook {
  constructor(private readonly options: PreciseBatchNormOptions) {}

  async afterStep(trainer: Trainer): Promise<void> {
    const { model, period, batches, random, order } = this.options;
    const { iteration, stopSignal } = trainer;
    const { iterations, sharing } = trainer.options;
    if (iteration !== iterations && !(period > 0 && iteration % period === 0)) return;
    await withAverage(trainer, async () => {
      // No process may give up alone: the others would wait for it.
      const aborted = () => !sharing && stopSignal.aborted;
      const draws = (batch: number) => order(random.fork(iteration, batch));
      if (await updatePopulationStatistics(model, batches(iteration), draws, aborted)) sharing?.settle(model);
    });
  }
}
