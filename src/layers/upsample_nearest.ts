import * as tf from '@tensorflow/tfjs-core';

/**
 * Every pixel four times: nearest upsampling by 2. The gradient is the sum of the four, written as a mean so that it is right on every backend;
 * the stock one of the cpu backend is not.
 * @param x [N, H, W, C] @returns [N, 2H, 2W, C]
 */
export function upsampleNearest2x(x: tf.Tensor4D): tf.Tensor4D {
  const upsample = tf.customGrad((input: tf.Tensor | tf.GradSaveFunc) => {
    const [, height, width] = (input as tf.Tensor4D).shape;
    return {
      value: tf.image.resizeNearestNeighbor(input as tf.Tensor4D, [2 * height, 2 * width]),
      gradFunc: (dy: tf.Tensor) => tf.tidy(() => tf.mul(tf.avgPool(dy as tf.Tensor4D, 2, 2, 'valid'), 4)),
    };
  });
  return upsample(x) as tf.Tensor4D;
}
