import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { BackendError } from '../../src/errors.js';
import type { WasmBackend } from '../../src/ops/kernels/wasm_heap.js';

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

  it('is used beyond 2 GiB', { timeout: 120_000 }, async () => {
    await startBackend('wasm');
    const below = tf.fill([2 ** 29], 1);
    const x = tf.tensor4d(
      Float32Array.from({ length: 8 * 8 * 16 }, (_, i) => (i % 7) - 3),
      [1, 8, 8, 16],
    );
    const filter = tf.fill([3, 3, 16, 16], 0.5) as tf.Tensor4D;
    const address = (tf.backend() as unknown as WasmBackend).dataIdMap.get(filter.dataId).memoryOffset;
    expect(address).toBeGreaterThan(2 ** 31);
    const summed = tf.conv2d(x, filter, 1, 'same');
    const pixels = (await x.data()) as Float32Array;
    let corner = 0;
    for (const pixel of [0, 1, 8, 9]) for (let c = 0; c < 16; c++) corner += pixels[pixel * 16 + c]! / 2;
    expect((await summed.data())[0]).toBe(corner);
    tf.dispose([below, x, filter, summed]);
  });
});
