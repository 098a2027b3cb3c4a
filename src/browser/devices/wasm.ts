import * as tf from '@tensorflow/tfjs-core';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import '../../backends/kernels/wasm_conv2d.js';
import { guardWasmMemory } from '../../backends/wasm_memory.js';
import { BackendError } from '../../errors.js';

/** Bundlers see these addresses and bring the files along. */
const FILES = {
  'tfjs-backend-wasm.wasm': new URL('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm', import.meta.url),
  'tfjs-backend-wasm-simd.wasm': new URL('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm', import.meta.url),
  'tfjs-backend-wasm-threaded-simd.wasm': new URL(
    '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm',
    import.meta.url,
  ),
};

/**
 * Starts TensorFlow.js's WebAssembly backend with the binaries of its package.
 * @returns a description: with or without SIMD, number of threads
 * @throws BackendError where the module does not instantiate
 */
export async function startWasm(): Promise<string> {
  if (!tf.engine().registry['wasm'])
    setWasmPaths(Object.fromEntries(Object.entries(FILES).map(([name, url]) => [name, url.href])));
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
      `device wasm: WebAssembly does not start. A Content-Security-Policy must allow 'wasm-unsafe-eval', and ${FILES['tfjs-backend-wasm-simd.wasm'].href} must be reachable.`,
      { cause },
    );
  guardWasmMemory();
  const [simd, threads] = await Promise.all([
    tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'),
    tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT'),
  ]);
  const many = threads && globalThis.crossOriginIsolated;
  return `WebAssembly ${simd ? 'with' : 'without'} SIMD, ${many ? 'several threads' : 'one thread'}`;
}
