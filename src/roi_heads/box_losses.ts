import * as tf from '@tensorflow/tfjs-core';
import { type BoxRegressionLoss, boxRegressionLoss } from '../losses/box_regression.js';
import { crossEntropy } from '../losses/cross_entropy.js';
import { gatherRows } from '../losses/gather_rows.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';

/** Regions of one image with what they should become. */
export interface LabelledRegions {
  /** [S, 4] */
  readonly boxes: Float32Array<ArrayBuffer>;
  /** [S], K for background. */
  readonly classes: Int32Array<ArrayBuffer>;
  /** [S, 4]; meaningful for foreground. */
  readonly targets: Float32Array<ArrayBuffer>;
}

export interface BoxLossOptions {
  readonly boxLoss: BoxRegressionLoss;
  /** Weight of `loss_box_reg`. */
  readonly boxWeight: number;
}

/**
 * The losses of the box head (Girshick 2015, equation 1; Detectron2's `FastRCNNOutputLayers.losses`): class cross-entropy, the mean over all sampled
 * regions, and box regression of the foreground towards its own class, divided by the number of all sampled regions.
 * @param logits [R, K + 1]
 * @param deltas [R, 4K] or [R, 4]
 */
export function boxLosses(
  { logits, deltas }: { readonly logits: tf.Tensor2D; readonly deltas: tf.Tensor2D },
  sampled: readonly LabelledRegions[],
  transform: Box2BoxTransform,
  { boxLoss, boxWeight }: BoxLossOptions,
): { loss_cls: tf.Scalar; loss_box_reg: tf.Scalar } {
  return tf.tidy(() => {
    const classes = allClasses(sampled);
    if (classes.length === 0) return { loss_cls: tf.scalar(0), loss_box_reg: tf.scalar(0) };
    const background = logits.shape[1] - 1;
    const perRow = deltas.shape[1] / 4;
    const rows: number[] = [];
    const sources: number[] = [];
    const targets: number[] = [];
    let first = 0;
    for (const image of sampled) {
      image.classes.forEach((label, i) => {
        if (label === background) return;
        rows.push((first + i) * perRow + (perRow === 1 ? 0 : label));
        sources.push(...image.boxes.subarray(i * 4, i * 4 + 4));
        targets.push(...image.targets.subarray(i * 4, i * 4 + 4));
      });
      first += image.classes.length;
    }
    let location = tf.scalar(0);
    if (rows.length > 0) {
      const predicted = gatherRows(tf.reshape(deltas, [-1, 4]) as tf.Tensor2D, Int32Array.from(rows));
      location = boxRegressionLoss(predicted, Float32Array.from(sources), Float32Array.from(targets), transform, boxLoss);
    }
    return {
      loss_cls: crossEntropy(logits, classes),
      loss_box_reg: tf.mul<tf.Scalar>(location, boxWeight / classes.length),
    };
  });
}

/** The class of every sampled region, image after image. */
export function allClasses(sampled: readonly Pick<LabelledRegions, 'classes'>[]): Int32Array<ArrayBuffer> {
  const classes = new Int32Array(sampled.reduce((sum, image) => sum + image.classes.length, 0));
  let at = 0;
  for (const image of sampled) {
    classes.set(image.classes, at);
    at += image.classes.length;
  }
  return classes;
}

/**
 * How well regions are classified now, by Detectron2's names: over all regions, over the foreground, and the share of the foreground taken for background.
 * @param logits  [R, K + 1], read back
 * @param classes [R]
 */
export function classificationMetrics(logits: Float32Array, classes: Int32Array): Record<string, number> {
  const rows = classes.length;
  if (rows === 0) return {};
  const columns = logits.length / rows;
  const background = columns - 1;
  let correct = 0;
  let foreground = 0;
  let foregroundCorrect = 0;
  let missed = 0;
  for (let row = 0, at = 0; row < rows; row++, at += columns) {
    let best = 0;
    for (let k = 1; k < columns; k++) if (logits[at + k] > logits[at + best]) best = k;
    if (best === classes[row]) correct++;
    if (classes[row] === background) continue;
    foreground++;
    if (best === classes[row]) foregroundCorrect++;
    if (best === background) missed++;
  }
  const overall = { 'fast_rcnn/cls_accuracy': correct / rows };
  if (foreground === 0) return overall;
  return {
    ...overall,
    'fast_rcnn/fg_cls_accuracy': foregroundCorrect / foreground,
    'fast_rcnn/false_negative': missed / foreground,
  };
}
