import * as tf from '@tensorflow/tfjs-core';
import { Tape } from '../autodiff/tape.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { BatchNorm, type BatchStatistics } from '../layers/norm.js';
import type { Permutations } from '../rpn/subsample_labels.js';
import type { TrainingSample } from '../structures/training_sample.js';

/** The batch norms of a model that learn: whose statistics are those of the batch in training. */
export function learningBatchNorms(model: Pick<MetaArchitecture, 'modules'>): BatchNorm[] {
  return model.modules().filter((module): module is BatchNorm => module instanceof BatchNorm && !module.isFrozen);
}

/**
 * Gives batch norms the mean and variance of all pixels of some batches, with the weights as they are, in the place of the running averages of
 * training, which are of weights that moved (Wu and Johnson 2021, "Rethinking Batch in BatchNorm"; fvcore's `update_bn_stats`). Weights and what else
 * the model keeps stay.
 * @param order of the samples of each batch
 * @param aborted asked before each batch: then the statistics stay as they were
 * @returns whether they were replaced
 */
export async function updatePopulationStatistics(
  model: Pick<MetaArchitecture, 'modules' | 'computeLosses'>,
  batches: AsyncIterable<readonly TrainingSample[]>,
  order: (batch: number) => Permutations,
  aborted: () => boolean = () => false,
): Promise<boolean> {
  const norms = learningBatchNorms(model).map((norm) => ({ norm, population: new Population() }));
  for (const { norm, population } of norms) norm.collect = (statistics) => population.add(statistics);
  try {
    let count = 0;
    for await (const samples of batches) {
      if (aborted()) return false;
      const pass = { record: inTrainingMode, order: order(count++), measuresOnly: true };
      const { losses, pending } = await model.computeLosses(samples, pass);
      tf.dispose([Object.values(losses), pending.map(({ values }) => values)]);
    }
    for (const { norm, population } of norms) population.giveTo(norm);
    return true;
  } finally {
    for (const { norm, population } of norms) {
      norm.collect = undefined;
      population.dispose();
    }
  }
}

/** Runs a part of a model as in training, and keeps nothing for a backward pass. */
function inTrainingMode<T>(part: () => T): T {
  const tape = new Tape();
  try {
    return tape.record(part);
  } finally {
    tape.dispose();
  }
}

/** Mean and mean square over batches of different numbers of pixels. */
class Population {
  private pixels = 0;
  private mean: tf.Tensor | undefined;
  private meanSquare: tf.Tensor | undefined;

  add({ mean, variance, pixels }: BatchStatistics): void {
    if (pixels === 0) return;
    this.pixels += pixels;
    const [nextMean, nextSquare] = tf.tidy(() => {
      // The variance comes with Bessel's correction.
      const square = tf.add(tf.square(mean), tf.mul(variance, (pixels - 1) / pixels));
      const share = pixels / this.pixels;
      const moved = (old: tf.Tensor | undefined, now: tf.Tensor): tf.Tensor =>
        tf.keep(old ? tf.add(old, tf.mul(tf.sub(now, old), share)) : tf.clone(now));
      return [moved(this.mean, mean), moved(this.meanSquare, square)];
    });
    this.dispose();
    [this.mean, this.meanSquare] = [nextMean, nextSquare];
  }

  /** Nothing where the norm was not used. */
  giveTo(norm: BatchNorm): void {
    const { mean, meanSquare } = this;
    if (!mean || !meanSquare) return;
    tf.tidy(() => norm.setStatistics(mean, tf.relu(tf.sub(meanSquare, tf.square(mean)))));
  }

  dispose(): void {
    tf.dispose([this.mean, this.meanSquare].filter((tensor) => tensor !== undefined));
  }
}
