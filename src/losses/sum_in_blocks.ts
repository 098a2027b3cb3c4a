import * as tf from '@tensorflow/tfjs-core';

const BLOCK = 32;

/** The sum of all elements, block by block: one long float32 sum loses digits on backends that add in sequence. For use where no gradient is recorded. */
export function sumInBlocks(x: tf.Tensor): tf.Scalar {
  return tf.tidy(() => {
    let sums: tf.Tensor = tf.reshape(x, [x.size]);
    while (sums.size > 1) {
      const rows = Math.ceil(sums.size / BLOCK);
      const padded = tf.pad(sums, [[0, rows * BLOCK - sums.size]]);
      sums = tf.sum(tf.reshape(padded, [rows, BLOCK]), 1);
    }
    return tf.reshape(sums, []) as tf.Scalar;
  });
}
