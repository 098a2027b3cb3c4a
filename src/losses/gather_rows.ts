import * as tf from '@tensorflow/tfjs-core';

/**
 * Rows of a tensor, each at most once. The gradient writes them back to their places; that of `tf.gather` adds up every row for every place on
 * some backends and takes minutes.
 * @param x    [T, ...]
 * @param rows [S] different indices, S > 0
 * @returns    [S, ...]
 */
export function gatherRows<T extends tf.Tensor>(x: T, rows: Int32Array): T {
  const gather = tf.customGrad((input: tf.Tensor | tf.GradSaveFunc) => {
    const { shape } = input as T;
    return {
      value: tf.tidy(() => tf.gather(input as T, tf.tensor1d(rows, 'int32'))),
      gradFunc: (dy: tf.Tensor) => tf.tidy(() => tf.scatterND(tf.tensor2d(rows, [rows.length, 1], 'int32'), dy, shape)),
    };
  });
  return gather(x) as T;
}
