import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../errors.js';
import { binaryCrossEntropySum } from '../losses/cross_entropy.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { maskTarget } from './mask_targets.js';
import type { SampledProposals } from './sample_proposals.js';

/** Foreground regions of a batch as the mask head sees them: image after image. */
export interface MaskBatch {
  /** Per image [F_i, 4]. */
  readonly boxes: Float32Array[];
  /** [F] */
  readonly classes: Int32Array<ArrayBuffer>;
  /** [F, M, M], 0 or 1. */
  readonly targets: Float32Array<ArrayBuffer>;
}

/**
 * The foreground of the sampled regions with its mask targets.
 * @param size side of the mask head's output
 * @throws ArgumentError for an image whose objects have no masks
 */
export function maskBatch(sampled: readonly SampledProposals[], samples: readonly TrainingSample[], size: number): MaskBatch {
  const count = sampled.reduce((sum, { foregroundCount }) => sum + foregroundCount, 0);
  const classes = new Int32Array(count);
  const targets = new Float32Array(count * size * size);
  let row = 0;
  const boxes = sampled.map((regions, image) => {
    const { groundTruth, width, fileName } = samples[image];
    for (let i = 0; i < regions.foregroundCount; i++, row++) {
      const mask = groundTruth.masks?.[regions.matches[i]];
      if (!mask)
        throw new ArgumentError(
          `${fileName} has objects without masks, and the model learns masks (MODEL.MASK_ON). Add segmentations or set MODEL.MASK_ON False.`,
        );
      classes[row] = regions.classes[i];
      maskTarget(mask, regions.boxes, i * 4, size, width, targets, row * size * size);
    }
    return regions.boxes.subarray(0, regions.foregroundCount * 4);
  });
  return { boxes, classes, targets };
}

/**
 * The loss of the mask head (He et al. 2017, section 3; Detectron2's `mask_rcnn_loss`): the mean binary cross-entropy over foreground and pixels, of
 * the mask of the true class alone.
 * @param logits [F, M, M, K], or [F, M, M, 1] when class-agnostic; F > 0
 * @returns loss, and the counts of `maskMetrics` as [3]
 */
export function maskLoss(logits: tf.Tensor4D, { classes, targets }: MaskBatch): { loss_mask: tf.Scalar; counts: tf.Tensor1D } {
  return tf.tidy(() => {
    const chosen = chooseChannel(logits, classes);
    const wanted = tf.tensor(targets, chosen.shape);
    const loss = tf.div<tf.Scalar>(binaryCrossEntropySum(chosen, wanted), targets.length);
    const isOn = tf.cast(tf.greater(chosen, 0), 'float32');
    const hits = tf.sum(tf.mul(isOn, wanted));
    const counts = tf.stack([hits, tf.sum(isOn), tf.sum(wanted)]) as tf.Tensor1D;
    return { loss_mask: loss, counts };
  });
}

/** The channel of each region's class. @returns [F * M * M] */
function chooseChannel(logits: tf.Tensor4D, classes: Int32Array): tf.Tensor1D {
  const [rows, height, width, channels] = logits.shape;
  if (channels === 1) return tf.reshape(logits, [-1]);
  const own = tf.cast(tf.oneHot(tf.tensor1d(classes, 'int32'), channels), 'float32');
  const product = tf.matMul(tf.reshape(logits, [rows, height * width, channels]), tf.reshape(own, [rows, channels, 1]));
  return tf.reshape(product, [-1]);
}

/** Pixel accuracy of the masks by Detectron2's names. @param counts pixels that are on in both, predicted on, wanted on */
export function maskMetrics(
  [both, predicted, wanted]: ArrayLike<number> & Iterable<number>,
  pixels: number,
): Record<string, number> {
  const falsePositive = predicted - both;
  const falseNegative = wanted - both;
  return {
    'mask_rcnn/accuracy': 1 - (falsePositive + falseNegative) / Math.max(pixels, 1),
    'mask_rcnn/false_positive': falsePositive / Math.max(pixels - wanted, 1),
    'mask_rcnn/false_negative': falseNegative / Math.max(wanted, 1),
  };
}
