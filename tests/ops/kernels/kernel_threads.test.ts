import { afterEach, describe, expect, it, vi } from 'vitest';
import { nodeThreads } from '../../../src/backends/wasm_threads.js';
import { KernelThreads } from '../../../src/ops/kernels/kernel_threads.js';

afterEach(() => vi.restoreAllMocks());

/** A product of ones by all threads: every number is the number of a group's channels. */
async function products(threads: KernelThreads, groups = 1): Promise<Set<number>> {
  for (let wait = 0; threads.count(1e9) < threads.most && wait < 1000; wait++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(threads.count(1e9)).toBe(2);
  const [rows, channels, outs] = [256, 64, 32];
  const bytes = { w: 4 * channels * outs, u: 4 * channels * outs, x: 4 * rows * channels, y: 4 * rows * outs };
  const { memory, kernels, at, place } = threads.reserve(bytes)!;
  place(at.x, new Float32Array(rows * channels).fill(1));
  place(at.w, new Float32Array(channels * outs).fill(1));
  const inputs = channels / groups;
  kernels.packOnThreads(at.w, at.u, outs, 0, inputs);
  for (let run = 0; run < 200; run++)
    kernels.productsOnThreads(at.x, at.u, 0, at.y, channels, outs, groups, 0, inputs, 0, rows, 4);
  return new Set(new Float32Array(memory.buffer, at.y, rows * outs));
}

describe('threads of the host kernels', () => {
  it('compute the same where the caller may sleep until they are done and where it may not, as on a page', async () => {
    const asleep = new KernelThreads(1, await nodeThreads(), 1);
    expect(await products(asleep)).toEqual(new Set([64]));
    expect(await products(asleep, 4)).toEqual(new Set([16]));
    asleep.dispose();
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new TypeError('Atomics.wait cannot be called in this context');
    });
    const awake = new KernelThreads(1, await nodeThreads(), 1);
    expect(await products(awake)).toEqual(new Set([64]));
    awake.dispose();
  });

  it('do without others on a machine that has no room for the shared memory, and ask once', () => {
    const refuse = vi.spyOn(WebAssembly, 'Memory').mockImplementation(() => {
      throw new RangeError('could not allocate memory');
    });
    const threads = new KernelThreads(3, () => ({ terminate: () => undefined }), 1);
    for (let i = 0; i < 5; i++) expect(threads.count(1e12)).toBe(1);
    expect(threads.reserve({ x: 4 })).toBeUndefined();
    expect(refuse).toHaveBeenCalledTimes(1);
  });
});
