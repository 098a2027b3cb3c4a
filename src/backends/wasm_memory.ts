import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../errors.js';
import type { WasmBackend } from '../ops/kernels/wasm_heap.js';

const guarded = new WeakSet<object>();

/**
 * Makes the running wasm backend say that it has no memory left. Its allocator answers 0 then, which TensorFlow.js takes for an address: it would write
 * values over whatever lies there. And makes all 4 GiB of its addresses usable: TensorFlow.js takes the upper half for negative ones, where no array is.
 */
export function guardWasmMemory(): void {
  const { wasm } = tf.backend() as unknown as WasmBackend;
  if (guarded.has(wasm)) return;
  guarded.add(wasm);
  // At its first call the module replaces its own entry.
  wasm._free(wasm._malloc(8));
  const allocate = wasm._malloc;
  wasm._malloc = (bytes) => {
    // Addresses have 32 bits: of a larger number only the rest would arrive. Those from 2 GiB on come as negative numbers.
    const address = bytes < 2 ** 32 ? allocate(bytes) >>> 0 : 0;
    if (address === 0 && bytes > 0) {
      throw new BackendError(
        `device wasm: there is no memory left for ${(bytes / 2 ** 20).toFixed(1)} MiB more. Take smaller images or batches, or another device.`,
      );
    }
    return address;
  };
}
