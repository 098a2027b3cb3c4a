import type * as tf from '@tensorflow/tfjs-core';

/** How often values came back from the device since the start: what a test counts, for on a GPU each one stalls the queue. */
export const readBacks = { count: 0 };

/** Reads a tensor's values: the only way in which the library waits for the device. */
export async function readBack(tensor: tf.Tensor): Promise<Float32Array> {
  readBacks.count++;
  return (await tensor.data()) as Float32Array;
}
