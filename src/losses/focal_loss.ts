import * as tf from '@tensorflow/tfjs-core';
import { log1p } from './cross_entropy.js';
import { sumInBlocks } from './sum_in_blocks.js';

/** Numbers of the focal loss by their names in the paper. */
export interface FocalLossOptions {
  /** Weight of the wanted class; the others get 1 - alpha. Negative: no weights. */
  readonly alpha: number;
  /** How much easy examples count less; 0 is cross-entropy. */
  readonly gamma: number;
}

/**
 * Sigmoid focal loss (Lin et al. 2017b, equation 5; fvcore's `sigmoid_focal_loss`).
 * @param logits  any shape
 * @param targets of the same shape, 0 or 1; no gradient
 * @returns       element by element
 */
export function focalLoss<T extends tf.Tensor>(logits: T, targets: tf.Tensor, options: FocalLossOptions): T {
  const loss = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
    const { value, slope } = terms(x as tf.Tensor, targets, options);
    (save as tf.GradSaveFunc)([slope]);
    return { value, gradFunc: (dy: tf.Tensor, [s]: tf.Tensor[]) => tf.mul(dy, s) };
  });
  return loss(logits) as T;
}

/** What the logits should become, 0 or 1, and how much each counts, where not all count the same. */
export interface FocalTargets {
  readonly targets: tf.Tensor;
  readonly weights?: tf.Tensor;
}

/**
 * The targets of rows with one class each.
 * @param labels [R]: the class, K for background (no class is wanted), negative for rows that do not count
 * @returns      [R, K] and [R, 1]
 */
export function classTargets(labels: Int32Array, classes: number): Required<FocalTargets> {
  const wanted = Int32Array.from(labels, (label) => (label < classes ? label : -1));
  const counts = Float32Array.from(labels, (label) => Number(label >= 0));
  const targets = tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(wanted, 'int32'), classes), 'float32'));
  return { targets, weights: tf.tensor2d(counts, [counts.length, 1]) };
}

/**
 * The sum of the focal loss. The targets are made inside, so that they do not live until the backward pass.
 * @param logits any shape, at least one
 */
export function focalLossSum(logits: tf.Tensor, wanted: () => FocalTargets, options: FocalLossOptions): tf.Scalar {
  const loss = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
    const { targets, weights } = wanted();
    const { value, slope } = terms(x as tf.Tensor, targets, options);
    (save as tf.GradSaveFunc)([weights ? tf.mul(slope, weights) : slope]);
    const gradFunc = (dy: tf.Tensor, [s]: tf.Tensor[]): tf.Tensor => tf.mul(dy, s);
    return { value: sumInBlocks(weights ? tf.mul(value, weights) : value), gradFunc };
  });
  return loss(logits) as tf.Scalar;
}

/** Loss and derivative of every element. */
function terms(x: tf.Tensor, targets: tf.Tensor, { alpha, gamma }: FocalLossOptions): { value: tf.Tensor; slope: tf.Tensor } {
  return tf.tidy(() => {
    const sign = tf.sub(tf.mul(targets, 2), 1);
    // The logit of what is wanted: the class, or its absence. p is its sigmoid.
    const z = tf.mul(x, sign);
    const p = tf.sigmoid(z);
    const rest = tf.sigmoid(tf.neg(z));
    const logP = tf.neg(tf.add(tf.relu(tf.neg(z)), log1p(tf.exp(tf.neg(tf.abs(z))))));
    const hardness = tf.pow(rest, gamma);
    const weight = alpha < 0 ? hardness : tf.mul(hardness, tf.add(tf.mul(targets, 2 * alpha - 1), 1 - alpha));
    return {
      value: tf.neg(tf.mul(weight, logP)),
      slope: tf.mul(tf.mul(weight, tf.sub(tf.mul(tf.mul(p, logP), gamma), rest)), sign),
    };
  });
}
