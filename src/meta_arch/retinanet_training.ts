import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../config/index.js';
import { type BoxRegressionLoss, boxLossFromConfig } from '../losses/box_regression.js';
import { classTargets, type FocalLossOptions, focalLossSum } from '../losses/focal_loss.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';
import { Matcher } from '../rpn/matcher.js';
import { anchorBoxLoss } from '../rpn/rpn_losses.js';
import type { GroundTruth } from '../structures/training_sample.js';
import type { DenseOutputs } from './retinanet.js';

/** How a one-stage detector learns. */
export interface DenseTrainingOptions {
  readonly matcher: Matcher;
  readonly focal: FocalLossOptions;
  readonly boxLoss: BoxRegressionLoss;
}

/** The numbers of `MODEL.RETINANET` that training takes. */
export function denseTrainingFromConfig(cfg: Config): DenseTrainingOptions {
  const retina = cfg.MODEL.RETINANET;
  return {
    matcher: new Matcher({ thresholds: retina.IOU_THRESHOLDS, labels: retina.IOU_LABELS, allowLowQualityMatches: true }),
    focal: { alpha: retina.FOCAL_LOSS_ALPHA, gamma: retina.FOCAL_LOSS_GAMMA },
    boxLoss: boxLossFromConfig({
      BBOX_REG_LOSS_TYPE: retina.BBOX_REG_LOSS_TYPE,
      SMOOTH_L1_BETA: retina.SMOOTH_L1_LOSS_BETA,
    }),
  };
}

/** What one image's anchors are trained towards. */
export interface ClassifiedAnchors {
  /** Per anchor: the class, K background, -1 ignored. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** Anchors with a class, ascending, and the boxes that they should become, [F, 4]. */
  readonly foreground: Int32Array<ArrayBuffer>;
  readonly targets: Float32Array<ArrayBuffer>;
}

/**
 * Gives every anchor a class (Detectron2's `RetinaNet.label_anchors`); all are trained but those that overlap an object neither much nor little.
 * @param anchors [A, 4], all levels one after another
 */
export function classifyAnchors(
  anchors: Float32Array,
  { boxes, classes }: GroundTruth,
  matcher: Matcher,
  numClasses: number,
): ClassifiedAnchors {
  const { matches, labels: matched } = matcher.matchBoxes(boxes, anchors);
  const labels = new Int32Array(matched.length);
  const foreground: number[] = [];
  const targets: number[] = [];
  matched.forEach((label, anchor) => {
    labels[anchor] = label === -1 ? -1 : numClasses;
    if (label !== 1 || classes.length === 0) return;
    const match = matches[anchor];
    labels[anchor] = classes[match];
    foreground.push(anchor);
    targets.push(...boxes.subarray(match * 4, match * 4 + 4));
  });
  return { labels, foreground: Int32Array.from(foreground), targets: Float32Array.from(targets) };
}

/**
 * The losses of a one-stage detector (Lin et al. 2017b; Detectron2's `RetinaNet.losses`): sums over all anchors of the batch.
 * @param outputs    per level [N, H, W, A * K] and [N, H, W, A * 4]
 * @param anchors    [total, 4]
 * @param classified per image
 * @param normalizer what both sums are divided by
 */
export function denseLosses(
  { logits, deltas }: DenseOutputs,
  anchors: Float32Array,
  classified: readonly ClassifiedAnchors[],
  transform: Box2BoxTransform,
  numClasses: number,
  { focal, boxLoss }: DenseTrainingOptions,
  normalizer: number,
): { loss_cls: tf.Scalar; loss_box_reg: tf.Scalar } {
  return tf.tidy(() => {
    const images = classified.length;
    const total = anchors.length / 4;
    const labels = new Int32Array(images * total);
    classified.forEach((image, i) => labels.set(image.labels, i * total));
    const joined = tf.concat(logits.map((map) => tf.reshape(map, [images, -1, numClasses])), 1); // prettier-ignore
    const classes = focalLossSum(tf.reshape(joined, [images * total, numClasses]), () => classTargets(labels, numClasses), focal);
    const boxes = anchorBoxLoss(deltas, anchors, classified, transform, boxLoss);
    return { loss_cls: tf.div(classes, normalizer), loss_box_reg: tf.div(boxes, normalizer) };
  });
}
