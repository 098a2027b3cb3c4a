import * as tf from '@tensorflow/tfjs-core';
import { checkDevice, hearLastWords } from '../backends/gpu_health.js';

/** How often values came back from the device since the start: what a test counts, for on a GPU each one stalls the queue. */
export const readBacks = { count: 0 };

/** Backends whose tensors the host reads without waiting. */
const IN_PROCESS = new Set(['cpu', 'wasm', 'tensorflow']);

/**
 * Reads a tensor's values: the only way in which the library waits for the device.
 *
 * @throws BackendError where a GPU device was lost, or reported an error of what it computed so far
 */
export async function readBack(tensor: tf.Tensor): Promise<Float32Array> {
  readBacks.count++;
  const backend = tf.backend();
  checkDevice(backend);
  let values: Float32Array;
  try {
    // Where tensors lie in the process's own memory there is nothing to wait for; and TensorFlow.js' promise can keep the values alive
    // until the next full collection, which lets memory grow over many predictions.
    values = (IN_PROCESS.has(tf.getBackend()) ? tensor.dataSync() : await tensor.data()) as Float32Array;
  } catch (error) {
    // A mapping that fails because the device went away says less than the device's own last words.
    await hearLastWords(backend);
    checkDevice(backend);
    throw error;
  }
  checkDevice(backend);
  return values;
}
