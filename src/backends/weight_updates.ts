import * as tf from '@tensorflow/tfjs-core';
import type { TensorflowBackend } from './fused_ops.js';

/** What AdamW's step takes besides tensors. */
export interface AdamWRates {
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  /** What the root of the mean square is divided by: the square root of its bias correction. */
  readonly scale: number;
  /** What is kept of the weight, 1 - rate * decay. */
  readonly kept: number;
  /** The learning rate over the mean's bias correction. */
  readonly rate: number;
}

/** What a step along a velocity takes besides tensors. */
export interface SgdRates {
  readonly momentum: number;
  readonly weightDecay: number;
  readonly rate: number;
  readonly nesterov: boolean;
}

/**
 * Steps of weights in one operation each, of the addon that `maskrcnn setup` builds: one pass over memory in the place of ten, and a tenth of the
 * calls. All tensors of a call have one shape; the results are new tensors.
 */
export class WeightUpdates {
  constructor(private readonly backend: TensorflowBackend) {}

  /** @returns the new weight, mean and mean square */
  adamW(weight: tf.Tensor, gradient: tf.Tensor, mean: tf.Tensor, square: tf.Tensor, rates: AdamWRates): tf.Tensor[] {
    const [beta1, beta2] = rates.betas;
    const numbers = [beta1, 1 - beta1, beta2, 1 - beta2, rates.scale, rates.epsilon, rates.kept, rates.rate];
    return this.run('MaskRcnnAdamW', [weight, gradient, mean, square], numbers, 3);
  }

  /** @returns the new weight and velocity */
  sgd(weight: tf.Tensor, gradient: tf.Tensor, velocity: tf.Tensor, rates: SgdRates): tf.Tensor[] {
    const { momentum, weightDecay, rate, nesterov } = rates;
    const numbers = [momentum, weightDecay, rate, ...(nesterov ? [1, momentum] : [0, 1])];
    return this.run('MaskRcnnSgd', [weight, gradient, velocity], numbers, 2);
  }

  /** decay * average + (1 - decay) * weight */
  average(average: tf.Tensor, weight: tf.Tensor, decay: number): tf.Tensor {
    return this.run('MaskRcnnAverage', [average, weight], [decay, 1 - decay], 1)[0];
  }

  private run(name: string, tensors: tf.Tensor[], numbers: readonly number[], outputs: number): tf.Tensor[] {
    const rates = tf.tensor1d([...numbers]);
    try {
      return this.backend.executeMultipleOutputs(name, [], [...tensors, rates], outputs);
    } finally {
      rates.dispose();
    }
  }
}

const known = new WeakMap<object, WeightUpdates | false>();

/** The steps of the backend in use, where it is TensorFlow's on a CPU with an addon that has them and they compute right. */
export function weightUpdates(): WeightUpdates | undefined {
  if (tf.getBackend() !== 'tensorflow') return undefined;
  const backend = tf.backend() as unknown as TensorflowBackend;
  let updates = known.get(backend);
  if (updates === undefined) {
    updates = !backend.binding.isUsingGpuDevice() && works(new WeightUpdates(backend));
    known.set(backend, updates);
  }
  return updates || undefined;
}

/** Tries them on numbers that are known. */
function works(updates: WeightUpdates): WeightUpdates | false {
  try {
    const right = tf.tidy(() => {
      const [a, b, zero] = [tf.tensor1d([3]), tf.tensor1d([5]), tf.tensor1d([0])];
      const adamW = { betas: [0.5, 0.75], epsilon: 1.5, scale: 1, kept: 0.5, rate: 2 } as const;
      const found = [
        ...updates.adamW(a, b, zero, zero, adamW),
        ...updates.sgd(a, b, zero, { momentum: 0.5, weightDecay: 1, rate: 0.25, nesterov: true }),
        updates.average(a, b, 0.75),
      ];
      return [0.25, 2.5, 6.25, 0, 8, 3.5].every((value, i) => found[i].dataSync()[0] === value);
    });
    return right && updates;
  } catch {
    return false;
  }
}
