import * as tf from '@tensorflow/tfjs-core';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import '../../backends/kernels/wasm_conv2d.js';
import '../../backends/kernels/wasm_training.js';
import { guardWasmMemory } from '../../backends/wasm_memory.js';
import { BackendError } from '../../errors.js';
import { giveThreads, KernelThreads, threadsOf } from '../../ops/kernels/kernel_threads.js';
import { startThread, threadCount } from './wasm_threads.js';

/** Bundlers see these addresses and bring the files along. */
const SIMD = new URL('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm', import.meta.url);
const PLAIN = new URL('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm', import.meta.url);

/** TensorFlow.js wants to be told of three; the one for threads is never taken. */
const FILES = {
  'tfjs-backend-wasm.wasm': PLAIN.href,
  'tfjs-backend-wasm-simd.wasm': SIMD.href,
  'tfjs-backend-wasm-threaded-simd.wasm': SIMD.href,
};

/**
 * Starts TensorFlow.js's WebAssembly backend with the binaries of its package: on every page the one for one thread, whose memory our kernels reach. The
 * threads of a page that is cross-origin isolated are our own.
 * @returns a description: with or without SIMD, number of threads
 * @throws BackendError where the module does not instantiate
 */
export async function startWasm(): Promise<string> {
  if (!tf.engine().registry['wasm']) setWasmPaths(FILES);
  // Its own threads would move the tensors into shared memory and lose to ours.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  let cause: unknown;
  const works = await tf
    .setBackend('wasm')
    .then((ok) => tf.ready().then(() => ok))
    .catch((error: unknown) => {
      cause = error;
      return false;
    });
  if (!works)
    throw new BackendError(
      `device wasm: WebAssembly does not start. A Content-Security-Policy must allow 'wasm-unsafe-eval', and ${SIMD.href} must be reachable.`,
      { cause },
    );
  guardWasmMemory();
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return `WebAssembly ${simd ? 'with' : 'without'} SIMD, ${ownThreads()}`;
}

/** Has large convolutions and products done by several threads. */
function ownThreads(): string {
  const backend = tf.backend();
  const count = threadCount();
  if (threadsOf(backend)?.most !== count) giveThreads(backend, count > 1 ? new KernelThreads(count - 1, startThread) : undefined);
  return count > 1 ? `${count} threads for large convolutions` : 'one thread';
}
