import * as tf from '@tensorflow/tfjs-core';

/** Mean over rows first, then over the rows' means: one long float32 sum loses digits on backends that add in sequence. */
const groupMean = (x: tf.Tensor): tf.Tensor => tf.mean(tf.mean(x, [2, 4], true), 1, true);

/** The sum over all pixels, one value a channel. */
const channelSum = (x: tf.Tensor): tf.Tensor => tf.sum(tf.sum(x, 2), [0, 1]);

/**
 * Group normalisation with its gradient in closed form, which keeps the normalised map alone and cancels less than the gradients of its parts do.
 * @param x      [N, H, W, C]
 * @param weight [C]
 * @param bias   [C]
 * @returns      the shape of x
 */
export function groupNorm(x: tf.Tensor4D, weight: tf.Tensor1D, bias: tf.Tensor1D, groups: number, epsilon: number): tf.Tensor4D {
  const normalise = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [input, scale, shift, save] = args as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, tf.GradSaveFunc];
    const [n, h, w, c] = input.shape;
    const grouped: number[] = [n, h, w, groups, c / groups];
    const map = tf.reshape(input, grouped);
    const centred = tf.sub(map, groupMean(map));
    const inverse = tf.rsqrt(tf.add(groupMean(tf.square(centred)), epsilon));
    const normal = tf.reshape(tf.mul(centred, inverse), input.shape);
    save([normal, inverse, scale]);
    const gradFunc = (dy: tf.Tensor, [y, deviation, factor]: tf.Tensor[]): tf.Tensor[] => {
      const dNormal = tf.reshape(tf.mul(dy, factor), grouped);
      const unit = tf.reshape(y, grouped);
      const along = tf.mul(unit, groupMean(tf.mul(dNormal, unit)));
      const dx = tf.mul(tf.sub(tf.sub(dNormal, groupMean(dNormal)), along), deviation);
      return [tf.reshape(dx, input.shape), channelSum(tf.mul(dy, y)), channelSum(dy)];
    };
    return { value: tf.add<tf.Tensor4D>(tf.mul(normal, scale), shift), gradFunc };
  });
  return normalise(x, weight, bias) as tf.Tensor4D;
}
