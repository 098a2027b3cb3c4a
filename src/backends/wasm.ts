import * as tf from '@tensorflow/tfjs-core';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { BackendError } from '../errors.js';
import { giveThreads, KernelThreads, threadsOf } from '../ops/kernels/kernel_threads.js';
import { guardWasmMemory } from './wasm_memory.js';
import { nodeThreads, threadCount } from './wasm_threads.js';
import './kernels/wasm_conv2d.js';
import './kernels/wasm_training.js';

const inNode = typeof process !== 'undefined' && process.versions?.node !== undefined;

/** The folder of the installed tfjs-backend-wasm that holds its `.wasm` files (Node only), with a trailing slash. */
export async function wasmFolder(): Promise<string> {
  const [{ createRequire }, { dirname, sep }] = await Promise.all([import('node:module'), import('node:path')]);
  return dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')) + sep;
}

/**
 * Starts TensorFlow.js's WebAssembly backend. In a browser the caller has set the paths with tfjs's own `setWasmPaths`, where the defaults do not serve.
 *
 * @returns a description: with or without SIMD, number of threads.
 * @throws BackendError where the module does not instantiate.
 */
export async function startWasm(): Promise<string> {
  const started = (tf.engine() as unknown as { registry: Record<string, unknown> }).registry['wasm'] !== undefined;
  if (inNode && !started) setWasmPaths(await wasmFolder());
  const before = inNode ? guards() : undefined;
  let works = false;
  let cause: unknown;
  try {
    works = await tf.setBackend('wasm');
    await tf.ready();
  } catch (error) {
    cause = error;
  }
  if (before) removeNewGuards(before);
  if (!works)
    throw new BackendError(
      'device wasm: the WebAssembly module of @tensorflow/tfjs-backend-wasm does not start. Run `npm install` again.',
      { cause },
    );
  guardWasmMemory();
  const threads = inNode ? await ownThreads() : undefined;
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return `WebAssembly ${simd ? 'with' : 'without'} SIMD, ${threads ?? 'threads as the page allows'}`;
}

/** Has large convolutions done by several threads. TensorFlow.js takes one in Node. */
async function ownThreads(): Promise<string> {
  const backend = tf.backend();
  const count = await threadCount();
  if (threadsOf(backend)?.most !== count)
    giveThreads(backend, count > 1 ? new KernelThreads(count - 1, await nodeThreads()) : undefined);
  return count > 1 ? `${count} threads for large convolutions` : 'one thread';
}

const GUARDED = ['uncaughtException', 'unhandledRejection'] as const;
type Guards = Map<string, unknown[]>;

function guards(): Guards {
  return new Map(GUARDED.map((event) => [event, process.listeners(event as 'exit')]));
}

/** Emscripten's start-up code hooks the process and prints its whole minified source at any later failure: take those hooks out again. */
function removeNewGuards(before: Guards): void {
  for (const event of GUARDED) {
    for (const listener of process.listeners(event as 'exit')) {
      if (!before.get(event)?.includes(listener)) process.removeListener(event, listener);
    }
  }
}
