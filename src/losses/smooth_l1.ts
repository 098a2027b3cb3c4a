import * as tf from '@tensorflow/tfjs-core';

/** Below this beta the loss is plain L1, as in Detectron2. */
const SMALLEST_BETA = 1e-5;

/**
 * Smooth L1 (Girshick 2015, equation 3): square below `beta`, linear above; plain L1 for beta 0. The gradient at 0 is 0.
 * @param prediction any shape; the target has the same and gets no gradient
 * @returns          element by element
 */
export function smoothL1<T extends tf.Tensor>(prediction: T, target: tf.Tensor, beta: number): T {
  const loss = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
    const difference = tf.sub(x as tf.Tensor, target);
    (save as tf.GradSaveFunc)([difference]);
    const distance = tf.abs(difference);
    if (beta < SMALLEST_BETA) return { value: distance, gradFunc: (dy: tf.Tensor, [d]: tf.Tensor[]) => tf.mul(dy, tf.sign(d)) };
    const square = tf.minimum(distance, beta);
    const value = tf.add(tf.div(tf.square(square), 2 * beta), tf.sub(distance, square));
    return { value, gradFunc: (dy: tf.Tensor, [d]: tf.Tensor[]) => tf.mul(dy, tf.clipByValue(tf.div(d, beta), -1, 1)) };
  });
  return loss(prediction) as T;
}
