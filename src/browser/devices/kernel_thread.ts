/// <reference lib="webworker" />
// The whole life of a thread of the wasm device: it takes the module and the shared memory, and serves.
import type { ThreadedKernels, ThreadTask } from '../../ops/kernels/kernel_threads.js';

self.addEventListener('message', ({ data: { module, memory, slot } }: MessageEvent<ThreadTask>) => {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as ThreadedKernels;
  kernels.serve(slot);
});
