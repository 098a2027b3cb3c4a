import type { StartThread } from '../../ops/kernels/kernel_threads.js';

/** Copying for the threads is one thread's work: beyond so many there is little to gain. */
const MOST = 8;

/** Threads for a page or worker: one for each processor, at most 8, where memory can be shared (a page that is cross-origin isolated), else 1. */
export function threadCount(): number {
  if (!globalThis.crossOriginIsolated || typeof Worker === 'undefined') return 1;
  return Math.min(MOST, navigator.hardwareConcurrency || 1);
}

/** Starts a thread of a page or worker, which ends with it. Where none is given, or its script does not arrive, it takes no part. */
export const startThread: StartThread = (task) => {
  try {
    const worker = new Worker(new URL('./kernel_thread.js', import.meta.url), { type: 'module', name: 'maskrcnn-kernels' });
    worker.addEventListener('error', (event) => event.preventDefault());
    worker.postMessage(task);
    return worker;
  } catch {
    return { terminate: () => undefined };
  }
};
