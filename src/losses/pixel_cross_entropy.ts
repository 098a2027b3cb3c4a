import * as tf from '@tensorflow/tfjs-core';
import { sumInBlocks } from './sum_in_blocks.js';

/**
 * Cross-entropy of the classes of pixels, the mean over those that count; 0 where none does.
 * @param logits [P, K], P > 0
 * @param labels [P]
 * @param ignore the label of pixels that do not count
 */
export function pixelCrossEntropy(logits: tf.Tensor2D, labels: Uint8Array | Int32Array, ignore: number): tf.Scalar {
  const classes = logits.shape[1];
  const wanted = Int32Array.from(labels, (label) => (label === ignore ? -1 : label));
  const count = wanted.reduce((sum, label) => sum + Number(label >= 0), 0);
  return tf.tidy(() => {
    const loss = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
      const index = tf.tensor1d(wanted, 'int32');
      const logProbabilities = tf.logSoftmax(x as tf.Tensor2D);
      (save as tf.GradSaveFunc)([logProbabilities, index]);
      const value = tf.div(tf.neg(sumInBlocks(tf.mul(logProbabilities, oneHot(index, classes)))), Math.max(count, 1));
      const gradFunc = (dy: tf.Tensor, [p, i]: tf.Tensor[]): tf.Tensor => {
        const counts = tf.cast(tf.greaterEqual(tf.reshape(i, [-1, 1]), 0), 'float32');
        const error = tf.sub(tf.mul(tf.exp(p), counts), oneHot(i as tf.Tensor1D, classes));
        return tf.mul(tf.div(dy, Math.max(count, 1)), error);
      };
      return { value, gradFunc };
    });
    return loss(logits) as tf.Scalar;
  });
}

/** Rows of negative labels are zero. */
const oneHot = (labels: tf.Tensor1D, classes: number): tf.Tensor => tf.cast(tf.oneHot(labels, classes), 'float32');
