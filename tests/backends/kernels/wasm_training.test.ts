import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import '../../../src/backends/kernels/wasm_training.js';
import { maxDifference } from '../../ops/max_difference.js';

/** Repeatable numbers in [-1, 1), all different. */
function noise(shape: number[], seed: number): tf.Tensor {
  let state = seed;
  const length = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    Float32Array.from({ length }, () => (state = (Math.imul(state, 1664525) + 1013904223) | 0) / 2 ** 31),
    shape,
  );
}

/** Runs the same function on cpu and on wasm and compares; says so when wasm keeps tensors. */
async function same(run: () => tf.Tensor[], tolerance: number): Promise<void> {
  const results: Float32Array[][] = [];
  for (const device of ['cpu', 'wasm']) {
    await tf.setBackend(device);
    await tf.ready();
    const before = tf.memory().numTensors;
    const tensors = tf.tidy(run);
    expect(tf.memory().numTensors - before, device).toBe(tensors.length);
    results.push(await Promise.all(tensors.map(async (t) => (await t.data<'float32'>()).slice())));
    tf.dispose(tensors);
  }
  results[0].forEach((expected, k) => expect(maxDifference(results[1][k], expected)).toBeLessThan(tolerance));
}

describe('gradients of convolutions on wasm', () => {
  it.each([
    [3, 1, 'same'],
    [3, 2, 'same'],
    [3, 2, 'valid'],
    [3, 1, 1],
    [7, 2, 3],
    [1, 1, 'valid'],
    [1, 2, 'valid'],
    [1, 2, 'same'],
    [2, 2, 0],
    [3, 3, 2],
    [1, 1, 1],
  ] as [number, number, 'same' | 'valid' | number][])('filter size %i, stride %i, padding %s', async (size, stride, pad) => {
    await same(() => {
      const x = noise([2, 9, 12, 5], 1) as tf.Tensor4D;
      const w = noise([size, size, 5, 7], 2) as tf.Tensor4D;
      const [dx, dw] = tf.grads((a, b) => {
        const y = tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, stride, pad);
        return tf.sum(tf.mul(y, noise(y.shape, 3)));
      })([x, w]);
      return [dx, dw];
    }, 2e-5);
  });
});

describe('the gradient of max pooling on wasm', () => {
  it.each([
    [3, 2, 'same'],
    [3, 2, 1],
    [2, 2, 'valid'],
    [1, 2, 'valid'],
  ] as [number, number, 'same' | 'valid' | number][])(
    'window size %i, stride %i, padding %s, also where all are negative',
    async (size, stride, pad) => {
      await same(() => {
        const x = tf.sub(noise([2, 9, 8, 3], 4), 0.8) as tf.Tensor4D;
        return [
          tf.grad((a) => {
            const y = tf.maxPool(a as tf.Tensor4D, size, stride, pad);
            return tf.sum(tf.mul(y, noise(y.shape, 5)));
          })(x),
        ];
      }, 1e-6);
    },
  );

  it('gives ties to the first', async () => {
    await tf.setBackend('wasm');
    const dx = tf.grad((a) => tf.sum(tf.maxPool(a as tf.Tensor4D, 2, 2, 'valid')))(tf.fill([1, 2, 2, 1], -1));
    expect([...(await dx.data())]).toEqual([1, 0, 0, 0]);
  });
});

describe('segment sums on wasm', () => {
  it('are the gradient of gather, repeated rows added', async () => {
    await same(() => {
      const x = noise([6, 3, 2], 6);
      const indices = tf.tensor1d([4, 0, 4, 2, 4], 'int32');
      return [tf.grad((a) => tf.sum(tf.mul(tf.gather(a, indices), noise([5, 3, 2], 7))))(x)];
    }, 1e-6);
  });

  it('drop negative segments and leave others at 0', async () => {
    await tf.setBackend('wasm');
    const out = tf.unsortedSegmentSum(tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]), tf.tensor1d([1, -1, 1], 'int32'), 3);
    expect([...(await out.data())]).toEqual([0, 0, 6, 8, 0, 0]);
  });
});
