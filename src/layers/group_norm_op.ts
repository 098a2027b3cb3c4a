import * as tf from '@tensorflow/tfjs-core';

/** Mean over rows first, then over the rows' means: one long float32 sum loses digits on backends that add in sequence. */
const groupMean = (x: tf.Tensor): tf.Tensor => tf.mean(tf.mean(x, [2, 4], true), 1, true);

/** The sum over all pixels, one value a channel. */
const channelSum = (x: tf.Tensor): tf.Tensor => tf.sum(tf.sum(x, 2), [0, 1]);

/**
 * Group normalisation with its gradient in closed form, which keeps its input alone.
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
    const mean = groupMean(map);
    const inverse = tf.rsqrt(tf.add(groupMean(tf.square(tf.sub(map, mean))), epsilon));
    // One product and one sum a pixel, as in PyTorch: few roundings, and the same ones.
    const perChannel = [1, 1, 1, groups, c / groups];
    const factors = tf.mul(inverse, tf.reshape(scale, perChannel));
    const offsets = tf.sub(tf.reshape(shift, perChannel), tf.mul(mean, factors));
    const value = tf.reshape(tf.add(tf.mul(map, factors), offsets), input.shape) as tf.Tensor4D;
    save([input, mean, inverse, scale]);
    const gradFunc = (dy: tf.Tensor, [saved, centre, deviation, factor]: tf.Tensor[]): tf.Tensor[] => {
      const dNormal = tf.reshape(tf.mul(dy, factor), grouped);
      const unit = tf.mul(tf.sub(tf.reshape(saved, grouped), centre), deviation);
      const along = tf.mul(unit, groupMean(tf.mul(dNormal, unit)));
      const dx = tf.mul(tf.sub(tf.sub(dNormal, groupMean(dNormal)), along), deviation);
      return [tf.reshape(dx, input.shape), channelSum(tf.mul(dy, tf.reshape(unit, input.shape))), channelSum(dy)];
    };
    return { value, gradFunc };
  });
  return normalise(x, weight, bias) as tf.Tensor4D;
}
