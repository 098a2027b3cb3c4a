import * as tf from '@tensorflow/tfjs-core';
import type { Box2BoxTransform } from './box_transform.js';
import { PROPOSAL_COLUMNS } from './proposal_kernel.js';

/**
 * Moves regions by their deltas and clips them to their images, on the device: what a cascade does between two stages.
 * @param deltas     [R, 4]
 * @param regions    [R, 6] as (image, x0, y0, x1, y1, logit), input pixels
 * @param imageSizes (height, width) of each image
 * @returns          [R, 6], images and logits as they were
 */
export function refineRegions(
  deltas: tf.Tensor2D,
  regions: tf.Tensor2D,
  { weights, scaleClamp }: Box2BoxTransform,
  imageSizes: readonly (readonly [number, number])[],
): tf.Tensor2D {
  return tf.tidy(() => {
    const column = (of: tf.Tensor2D, i: number, width = 1): tf.Tensor2D => tf.slice(of, [0, i], [of.shape[0], width]);
    const corner = column(regions, 1, 2);
    const sides = tf.sub<tf.Tensor2D>(column(regions, 3, 2), corner);
    const centres = tf.add(corner, tf.mul(sides, 0.5));
    const shift = tf.div(column(deltas, 0, 2), tf.tensor2d([weights[0], weights[1]], [1, 2]));
    const scale = tf.minimum(tf.div(column(deltas, 2, 2), tf.tensor2d([weights[2], weights[3]], [1, 2])), scaleClamp);
    const moved = tf.add(tf.mul(shift, sides), centres);
    const half = tf.mul(tf.mul(tf.exp(scale), sides), 0.5);
    const limits = tf.tensor2d(
      imageSizes.flatMap(([height, width]) => [width, height]),
      [imageSizes.length, 2],
    );
    const own = tf.gather(limits, tf.cast(tf.reshape(column(regions, 0), [-1]), 'int32'));
    const clip = (points: tf.Tensor): tf.Tensor => tf.minimum(tf.maximum(points, 0), own);
    const boxes = [clip(tf.sub(moved, half)), clip(tf.add(moved, half))] as tf.Tensor2D[];
    return tf.concat([column(regions, 0), ...boxes, column(regions, PROPOSAL_COLUMNS - 1)], 1);
  });
}
