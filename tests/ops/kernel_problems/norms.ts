import * as tf from '@tensorflow/tfjs-core';
import { batchNormTraining } from '../../../src/layers/batch_norm_op.js';
import { groupNorm } from '../../../src/layers/group_norm_op.js';
import { type Exact, type KernelProblem, noise } from './kernel_problem.js';

const EPSILON = 1e-5;
const SHAPE = [2, 3, 5, 4];

/** Normalises the values of each set to mean 0 and variance 1, then scales and shifts by channel. `setOf` numbers the sets by index. */
function normalised(x: Exact, weight: Exact, bias: Exact, setOf: (index: number) => number): Exact {
  const sums = new Map<number, { count: number; mean: number; variance: number }>();
  x.values.forEach((v, i) => {
    const set = sums.get(setOf(i)) ?? { count: 0, mean: 0, variance: 0 };
    sums.set(setOf(i), { count: set.count + 1, mean: set.mean + v, variance: 0 });
  });
  for (const set of sums.values()) set.mean /= set.count;
  x.values.forEach((v, i) => {
    const set = sums.get(setOf(i))!;
    set.variance += (v - set.mean) ** 2 / set.count;
  });
  const channels = weight.values.length;
  const values = x.values.map((v, i) => {
    const { mean, variance } = sums.get(setOf(i))!;
    return ((v - mean) / Math.sqrt(variance + EPSILON)) * weight.values[i % channels] + bias.values[i % channels];
  });
  return { shape: x.shape, values };
}

/** By image and group of two channels; by channel. */
const group = (index: number): number => Math.floor(index / 60) * 2 + Math.floor((index % 4) / 2);
const channel = (index: number): number => index % 4;

export const NORMS: Record<string, KernelProblem> = {
  'group norm': {
    inputs: [noise(SHAPE, 1), noise([4], 2), noise([4], 3)],
    run: (x, weight, bias) => groupNorm(x as tf.Tensor4D, weight as tf.Tensor1D, bias as tf.Tensor1D, 2, EPSILON),
    definition: (x, weight, bias) => normalised(x, weight, bias, group),
  },
  'batch norm': {
    inputs: [noise(SHAPE, 1), noise([4], 2), noise([4], 3)],
    run: (x, weight, bias) => batchNormOf(x, weight, bias, undefined, 'linear'),
    definition: (x, weight, bias) => normalised(x, weight, bias, channel),
  },
  'batch norm with an addend and a rectifier': {
    inputs: [noise(SHAPE, 1), noise([4], 2), noise([4], 3), noise(SHAPE, 4)],
    run: (x, weight, bias, residual) => batchNormOf(x, weight, bias, residual as tf.Tensor4D, 'relu'),
    definition: (x, weight, bias, residual) => ({
      shape: x.shape,
      values: normalised(x, weight, bias, channel).values.map((v, i) => Math.max(0, v + residual.values[i])),
    }),
  },
};

/** The normalised map alone. */
function batchNormOf(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor,
  residual: tf.Tensor4D | undefined,
  activation: 'linear' | 'relu',
): tf.Tensor {
  const [a, w, b] = [x as tf.Tensor4D, weight as tf.Tensor1D, bias as tf.Tensor1D];
  return tf.tidy(() => batchNormTraining(a, w, b, EPSILON, residual, activation).y);
}
