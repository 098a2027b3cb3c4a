import * as tf from '@tensorflow/tfjs-core';

/** The same values; the gradient that comes back is multiplied by `scale`. */
export function scaleGradient<T extends tf.Tensor>(x: T, scale: number): T {
  const pass = tf.customGrad((input: tf.Tensor | tf.GradSaveFunc) => ({
    value: tf.clone(input as T),
    gradFunc: (dy: tf.Tensor) => tf.mul(dy, scale),
  }));
  return pass(x) as T;
}
