import * as tf from '@tensorflow/tfjs-core';
import { keypointTargets } from '../data/annotations/keypoint_targets.js';
import { ArgumentError } from '../errors.js';
import { crossEntropy } from '../losses/cross_entropy.js';
import { gatherRows } from '../losses/gather_rows.js';
import type { TrainingSample } from '../structures/training_sample.js';
import type { SampledProposals } from './sample_proposals.js';

export interface KeypointLossOptions {
  /** Weight of `loss_keypoint`. */
  readonly weight: number;
  /** What the summed loss is divided by: the keypoints that are learnt from, or a number per image. */
  readonly normalizer: 'visible' | number;
}

/** Foreground regions that show a keypoint, image after image. */
export interface KeypointBatch {
  /** Per image [F_i, 4]. */
  readonly boxes: Float32Array<ArrayBuffer>[];
  /** Which heatmaps are learnt: rows of [F * P]. */
  readonly rows: Int32Array<ArrayBuffer>;
  /** The pixel of each of them, row * size + column. */
  readonly targets: Int32Array<ArrayBuffer>;
  readonly metrics: Record<string, number>;
}

/**
 * The foreground of the sampled regions that has a labelled keypoint inside, with its targets (Detectron2's
 * `select_proposals_with_visible_keypoints` and `keypoints_to_heatmap`).
 * @param count keypoints of an object
 * @param size  side of the heatmaps
 * @throws ArgumentError for an image whose objects have no keypoints, or another number of them
 */
export function keypointBatch(
  sampled: readonly SampledProposals[],
  samples: readonly TrainingSample[],
  count: number,
  size: number,
): KeypointBatch {
  const rows: number[] = [];
  const targets: number[] = [];
  let first = 0;
  let images = 0;
  const boxes = sampled.map((regions, image) => {
    if (regions.foregroundCount === 0) return new Float32Array(0);
    const { groundTruth, fileName } = samples[image];
    const points = groundTruth.keypoints;
    if (points?.length !== groundTruth.classes.length * count * 3)
      throw new ArgumentError(
        `${fileName} has objects without ${count} keypoints each, and the model learns them (MODEL.KEYPOINT_ON). Add keypoints or set MODEL.KEYPOINT_ON False.`,
      );
    images++;
    const chosen = Array.from({ length: regions.foregroundCount }, (_, i) => i).filter((i) =>
      showsKeypoint(regions.boxes.subarray(i * 4, i * 4 + 4), objectPoints(points, regions.matches[i], count)),
    );
    const own = new Float32Array(chosen.length * 4);
    const ownPoints = new Float32Array(chosen.length * count * 3);
    chosen.forEach((from, to) => {
      own.set(regions.boxes.subarray(from * 4, from * 4 + 4), to * 4);
      ownPoints.set(objectPoints(points, regions.matches[from], count), to * count * 3);
    });
    const { indices, valid } = keypointTargets(ownPoints, own, size);
    for (let i = 0; i < valid.length; i++) {
      if (!valid[i]) continue;
      rows.push(first + i);
      targets.push(indices[i]);
    }
    first += valid.length;
    return own;
  });
  const metrics: Record<string, number> =
    images === 0 ? {} : { 'keypoint_head/num_fg_samples': boxes.reduce((sum, b) => sum + b.length / 4, 0) / images };
  return { boxes, rows: Int32Array.from(rows), targets: Int32Array.from(targets), metrics };
}

/**
 * The loss of the keypoint head (He et al. 2017, section 5; Detectron2's `keypoint_rcnn_loss`): each heatmap is a softmax over its pixels with one
 * right answer.
 * @param logits [F, size, size, P]; F > 0, and at least one keypoint to learn
 * @param images of the batch
 */
export function keypointLoss(
  logits: tf.Tensor4D,
  { rows, targets }: KeypointBatch,
  { weight, normalizer }: KeypointLossOptions,
  images: number,
): tf.Scalar {
  return tf.tidy(() => {
    const [regions, height, width, count] = logits.shape;
    const heatmaps = tf.reshape(tf.transpose(logits, [0, 3, 1, 2]), [regions * count, height * width]) as tf.Tensor2D;
    const mean = crossEntropy(gatherRows(heatmaps, rows), targets);
    const scale = normalizer === 'visible' ? 1 : rows.length / (normalizer * images);
    return tf.mul<tf.Scalar>(mean, weight * scale);
  });
}

const objectPoints = (points: Float32Array, object: number, count: number): Float32Array =>
  points.subarray(object * count * 3, (object + 1) * count * 3);

function showsKeypoint([x0, y0, x1, y1]: Float32Array, points: Float32Array): boolean {
  for (let i = 0; i < points.length; i += 3)
    if (points[i + 2] >= 1 && points[i] >= x0 && points[i] <= x1 && points[i + 1] >= y0 && points[i + 1] <= y1) return true;
  return false;
}
