import * as tf from '@tensorflow/tfjs-core';
import { type BoxRegressionLoss, boxRegressionLoss } from '../losses/box_regression.js';
import { binaryCrossEntropySum } from '../losses/cross_entropy.js';
import { gatherRows } from '../losses/gather_rows.js';
import type { Box2BoxTransform } from './box_transform.js';
import type { LabelledAnchors } from './label_anchors.js';

export interface RpnLossOptions {
  readonly boxLoss: BoxRegressionLoss;
  /** Weights of `loss_rpn_cls` and `loss_rpn_loc`. */
  readonly objectnessWeight: number;
  readonly boxWeight: number;
  /** Anchors drawn an image; both losses are divided by this and by the number of images. */
  readonly batchSizePerImage: number;
}

/**
 * The losses of a region proposal network (Ren et al. 2015, equation 1; Detectron2's `RPN.losses`): sums over the drawn anchors, divided by the
 * batch that was asked for, not by the one that was found.
 * @param logits   per level [N, H, W, A]
 * @param deltas   per level [N, H, W, 4A]
 * @param anchors  [total, 4], all levels one after another
 * @param labelled per image
 */
export function rpnLosses(
  { logits, deltas }: { readonly logits: readonly tf.Tensor4D[]; readonly deltas: readonly tf.Tensor4D[] },
  anchors: Float32Array,
  labelled: readonly LabelledAnchors[],
  transform: Box2BoxTransform,
  { boxLoss, objectnessWeight, boxWeight, batchSizePerImage }: RpnLossOptions,
): { loss_rpn_cls: tf.Scalar; loss_rpn_loc: tf.Scalar } {
  return tf.tidy(() => {
    const images = labelled.length;
    const total = anchors.length / 4;
    const normalizer = batchSizePerImage * images;
    const foreground = rowsOf(labelled, total, (image) => image.foreground);
    const background = rowsOf(labelled, total, (image) => image.background);
    const drawn = new Int32Array(foreground.length + background.length);
    drawn.set(foreground);
    drawn.set(background, foreground.length);
    let objectness = tf.scalar(0);
    if (drawn.length > 0) {
      const all = tf.reshape(tf.concat(logits.map((map) => tf.reshape(map, [images, -1])), 1), [-1]); // prettier-ignore
      const targets = new Float32Array(drawn.length).fill(1, 0, foreground.length);
      objectness = binaryCrossEntropySum(gatherRows(all, drawn), tf.tensor1d(targets));
    }
    const location = anchorBoxLoss(deltas, anchors, labelled, transform, boxLoss);
    return {
      loss_rpn_cls: tf.mul<tf.Scalar>(objectness, objectnessWeight / normalizer),
      loss_rpn_loc: tf.mul<tf.Scalar>(location, boxWeight / normalizer),
    };
  });
}

/**
 * The regression loss of dense deltas, the sum over the foreground anchors of a batch.
 * @param deltas  per level [N, H, W, 4A]
 * @param anchors [total, 4], all levels one after another
 */
export function anchorBoxLoss(
  deltas: readonly tf.Tensor4D[],
  anchors: Float32Array,
  labelled: readonly Pick<LabelledAnchors, 'foreground' | 'targets'>[],
  transform: Box2BoxTransform,
  boxLoss: BoxRegressionLoss,
): tf.Scalar {
  const total = anchors.length / 4;
  const foreground = rowsOf(labelled, total, (image) => image.foreground);
  if (foreground.length === 0) return tf.scalar(0);
  return tf.tidy(() => {
    const all = tf.reshape(tf.concat(deltas.map((map) => tf.reshape(map, [labelled.length, -1])), 1), [-1, 4]); // prettier-ignore
    const predicted = gatherRows(all, foreground) as tf.Tensor2D;
    const sources = new Float32Array(foreground.length * 4);
    const targets = new Float32Array(foreground.length * 4);
    foreground.forEach((row, i) => sources.set(anchors.subarray((row % total) * 4, (row % total) * 4 + 4), i * 4));
    let at = 0;
    for (const image of labelled) {
      targets.set(image.targets, at);
      at += image.targets.length;
    }
    return boxRegressionLoss(predicted, sources, targets, transform, boxLoss);
  });
}

/** Rows of the whole batch, image after image. */
function rowsOf<T>(labelled: readonly T[], total: number, pick: (image: T) => Int32Array): Int32Array<ArrayBuffer> {
  const rows = labelled.map((image, i) => pick(image).map((anchor) => anchor + i * total));
  const all = new Int32Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of rows) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}
