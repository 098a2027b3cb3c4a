import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { BackendError } from '../../src/errors.js';

describe('the memory of wasm', () => {
  it('is said to be used up, in one clear error; what was there stays, and smaller work goes on', async () => {
    await startBackend('wasm');
    const kept = tf.tensor1d([1, 2, 3]);
    const { numTensors } = tf.memory();
    // Addresses end at 4 GiB: the first does not fit beside what is there, the second wraps around.
    for (const length of [2 ** 30 - 1024, 2 ** 30 + 16]) {
      const greedy = (): tf.Tensor => tf.fill([length], 1);
      expect(greedy).toThrow(BackendError);
      expect(greedy).toThrow(/device wasm: there is no memory left for 40\d\d\.\d MiB more.*smaller images/);
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    const doubled = tf.mul(kept, 2);
    expect([...(await doubled.data())]).toEqual([2, 4, 6]);
    expect([...(await kept.data())]).toEqual([1, 2, 3]);
    tf.dispose([kept, doubled]);
  });
});
