import * as tf from '@tensorflow/tfjs-core';
import { sumInBlocks } from './sum_in_blocks.js';

/** log(1 + e) for e in [0, 1], with full relative precision near 0, where log alone has none; not every backend has log1p right. */
export function log1p(e: tf.Tensor): tf.Tensor {
  const t = tf.div(e, tf.add(e, 2));
  const t2 = tf.square(t);
  let series: tf.Tensor = tf.fill(t.shape, 1 / 15);
  for (const k of [13, 11, 9, 7, 5, 3, 1]) series = tf.add(tf.mul(series, t2), 1 / k);
  return tf.mul(tf.mul(series, t), 2);
}

/**
 * Binary cross-entropy of logits, stable for any size: the sum of max(x, 0) - x z + log(1 + exp(-|x|)).
 * @param logits  any shape, at least one
 * @param targets of the same shape, 0 to 1; no gradient
 */
export function binaryCrossEntropySum(logits: tf.Tensor, targets: tf.Tensor): tf.Scalar {
  const loss = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
    const logit = x as tf.Tensor;
    (save as tf.GradSaveFunc)([logit, targets]);
    const value = tf.add(tf.sub(tf.relu(logit), tf.mul(logit, targets)), log1p(tf.exp(tf.neg(tf.abs(logit)))));
    const gradFunc = (dy: tf.Tensor, [l, z]: tf.Tensor[]): tf.Tensor => tf.mul(dy, tf.sub(tf.sigmoid(l), z));
    return { value: sumInBlocks(value), gradFunc };
  });
  return loss(logits) as tf.Scalar;
}

/**
 * Cross-entropy of class logits, the mean over the rows.
 * @param logits  [R, K], R > 0
 * @param classes [R]
 */
export function crossEntropy(logits: tf.Tensor2D, classes: Int32Array): tf.Scalar {
  return tf.tidy(() => {
    const [rows, count] = logits.shape;
    const targets = tf.cast(tf.oneHot(tf.tensor1d(classes, 'int32'), count), 'float32');
    const loss = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
      const logProbabilities = tf.logSoftmax(x as tf.Tensor2D);
      (save as tf.GradSaveFunc)([logProbabilities, targets]);
      const value = tf.div(tf.neg(sumInBlocks(tf.mul(logProbabilities, targets))), rows);
      return {
        value,
        gradFunc: (dy: tf.Tensor, [p, z]: tf.Tensor[]) => tf.mul(tf.div(dy, rows), tf.sub(tf.exp(p), z)),
      };
    });
    return loss(logits) as tf.Scalar;
  });
}
