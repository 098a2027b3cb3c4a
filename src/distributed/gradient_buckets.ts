import * as tf from '@tensorflow/tfjs-core';
import type { Communicator } from './communicator.js';

/** Floats of a bucket: 16 MB, large enough that the latency of a call does not count, small enough to stay off the peak of memory. */
const BUCKET = 4 * 2 ** 20;

/**
 * Sums gradients over all ranks: many tensors go in one call, because each call costs a round trip.
 * @param gradients the same names and shapes, in the same order, on all ranks; disposed of
 * @returns the sums, which the caller disposes of
 */
export function sumGradients(
  communicator: Communicator,
  gradients: ReadonlyMap<string, tf.Tensor>,
  bucket = BUCKET,
): Map<string, tf.Tensor> {
  const sums = new Map<string, tf.Tensor>();
  for (const part of bucketsOf([...gradients], bucket)) {
    // New for every bucket: the tensors made of it may keep it.
    const values = new Float32Array(part.reduce((count, [, { size }]) => count + size, 0));
    let at = 0;
    for (const [, gradient] of part) {
      values.set(gradient.dataSync() as Float32Array, at);
      at += gradient.size;
    }
    communicator.sum(values);
    at = 0;
    for (const [name, gradient] of part) {
      sums.set(name, tf.tensor(values.subarray(at, at + gradient.size), gradient.shape));
      at += gradient.size;
      gradient.dispose();
    }
  }
  return sums;
}

/** Neighbours together until a bucket is full; a tensor that is larger than a bucket has one for itself. */
function bucketsOf(gradients: readonly (readonly [string, tf.Tensor])[], bucket: number): (readonly [string, tf.Tensor])[][] {
  const buckets: (readonly [string, tf.Tensor])[][] = [];
  let filled = Infinity;
  for (const entry of gradients) {
    const { size } = entry[1];
    if (filled + size > bucket) {
      buckets.push([]);
      filled = 0;
    }
    buckets[buckets.length - 1].push(entry);
    filled += size;
  }
  return buckets;
}
