import * as tf from '@tensorflow/tfjs-core';
import { checkDevice, hearLastWords } from '../backends/gpu_health.js';
import { joinValues } from './join_values.js';

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

/** Values that are wanted some time: who reads others anyway takes them along, so that a GPU is waited for once. */
export class PendingRead {
  private values: Float32Array | undefined;

  /** @param tensor float32; it stays whose it is */
  constructor(readonly tensor: tf.Tensor) {}

  /** Whether a read has taken the values along. */
  get isRead(): boolean {
    return this.values !== undefined;
  }

  /** Called by who took them along. */
  take(values: Float32Array): void {
    this.values = values;
  }

  /** The values; read by themselves if nobody took them along. */
  async settle(): Promise<Float32Array> {
    return (this.values ??= await readBack(this.tensor));
  }
}

/**
 * Reads several float32 tensors at once: in one transfer where the device has a memory of its own.
 * @param beside values that are taken along, unless they were read
 * @returns      the tensors' values
 */
export async function readTogether(tensors: readonly tf.Tensor[], beside: readonly PendingRead[] = []): Promise<Float32Array[]> {
  const waiting = beside.filter(({ isRead }) => !isRead);
  const all = [...tensors, ...waiting.map(({ tensor }) => tensor)];
  const values: Float32Array[] = [];
  if (all.length < 2 || IN_PROCESS.has(tf.getBackend())) for (const tensor of all) values.push(await readBack(tensor));
  else {
    const joined = joinValues(all);
    const flat = await readBack(joined).finally(() => joined.dispose());
    let at = 0;
    for (const { size } of all) values.push(flat.subarray(at, (at += size)));
  }
  waiting.forEach((pending, i) => pending.take(values[tensors.length + i]));
  return values.slice(0, tensors.length);
}
