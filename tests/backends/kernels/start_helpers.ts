import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { nodeThreads } from '../../../src/backends/wasm_threads.js';
import { giveThreads, KernelThreads } from '../../../src/ops/kernels/kernel_threads.js';

/** Gives the wasm backend so many threads besides the caller's, for the smallest work, and waits until all have started. */
export async function startHelpers(helpers: number): Promise<void> {
  const pool = new KernelThreads(helpers, await nodeThreads(), 0);
  giveThreads(tf.backend(), pool);
  for (let waited = 0; pool.count(1e9) <= helpers; waited += 5) {
    expect(waited).toBeLessThan(10_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A tensor's values; the tensor is disposed of. */
export async function valuesOf(y: tf.Tensor): Promise<Float32Array> {
  const values = (await y.data<'float32'>()).slice();
  y.dispose();
  return values;
}
