import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { weightUpdates, type WeightUpdates } from '../../src/backends/weight_updates.js';
import { Random } from '../../src/data/random.js';
import { nativeReason } from './native.js';

const missing = nativeReason();

describe.skipIf(missing)(`steps of weights in one operation${missing ? ` (${missing})` : ''}`, () => {
  let updates: WeightUpdates | undefined;
  beforeAll(async () => {
    await startBackend('tensorflow');
    updates = weightUpdates();
  });

  it.runIf(process.env.MASKRCNN_REQUIRE_NATIVE === '1')('are there after set-up', () => {
    expect(updates).toBeDefined();
  });

  /** Tensors of one shape, the last two positive where asked for; values with their doubles. */
  function tensors(count: number, shape: number[], positive: number[] = []): { tensors: tf.Tensor[]; values: Float32Array[] } {
    const random = new Random(31);
    const length = shape.reduce((a, b) => a * b, 1);
    const values = Array.from({ length: count }, (_, k) =>
      Float32Array.from({ length }, () => (positive.includes(k) ? random.next() : 2 * random.next() - 1)),
    );
    return { tensors: values.map((row) => tf.tensor(row, shape)), values };
  }

  /** The results of a step, with what they should be; both inputs and results are given back. */
  function check(inputs: tf.Tensor[], results: tf.Tensor[], right: ((i: number) => number)[]): void {
    results.forEach((result, k) => {
      expect(result.shape).toEqual(inputs[0].shape);
      const worst = result.dataSync<'float32'>().reduce((most, value, i) => Math.max(most, Math.abs(value - right[k](i))), 0);
      expect(worst).toBeLessThan(1e-6);
    });
    tf.dispose([...inputs, ...results]);
  }

  // One number, a bias, and a tensor that several threads share.
  for (const shape of [[], [5], [3, 3, 64, 200]]) {
    it(`follow their definitions for a shape [${shape.join(', ')}]`, (context) => {
      if (!updates) return context.skip();
      const before = tf.memory().numTensors;
      {
        const { tensors: inputs, values } = tensors(4, shape, [3]);
        const [w, g, m, s] = values;
        const [b1, b2, epsilon, scale, kept, rate] = [0.9, 0.99, 1e-3, 0.7, 0.95, 0.01];
        const mean = (i: number) => b1 * m[i] + (1 - b1) * g[i];
        const square = (i: number) => b2 * s[i] + (1 - b2) * g[i] * g[i];
        const results = updates.adamW(inputs[0], inputs[1], inputs[2], inputs[3], {
          betas: [b1, b2],
          epsilon,
          scale,
          kept,
          rate,
        });
        check(inputs, results, [(i) => kept * w[i] - (rate * mean(i)) / (Math.sqrt(square(i)) / scale + epsilon), mean, square]);
      }
      for (const nesterov of [false, true]) {
        const { tensors: inputs, values } = tensors(3, shape);
        const [w, g, v] = values;
        const decayed = (i: number) => g[i] + 0.25 * w[i];
        const velocity = (i: number) => 0.9 * v[i] + decayed(i);
        const direction = (i: number) => (nesterov ? decayed(i) + 0.9 * velocity(i) : velocity(i));
        const rates = { momentum: 0.9, weightDecay: 0.25, rate: 0.1, nesterov };
        check(inputs, updates.sgd(inputs[0], inputs[1], inputs[2], rates), [(i) => w[i] - 0.1 * direction(i), velocity]);
      }
      const { tensors: inputs, values } = tensors(2, shape);
      check(inputs, [updates.average(inputs[0], inputs[1], 0.8)], [(i) => 0.8 * values[0][i] + 0.2 * values[1][i]]);
      expect(tf.memory().numTensors).toBe(before);
    });
  }

  it('refuse tensors of other sizes', (context) => {
    if (!updates) return context.skip();
    const before = tf.memory().numTensors;
    const [a, b] = [tf.zeros([3]), tf.zeros([4])];
    expect(() => updates!.average(a, b, 0.5)).toThrow('tensors of one size');
    tf.dispose([a, b]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
