import * as tf from '@tensorflow/tfjs-core';
import { ConfigError } from '../errors.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';
import { boxLosses } from '../registry/registries.js';
import { ciouLoss, diouLoss, giouLoss } from './iou_loss.js';
import { smoothL1 } from './smooth_l1.js';

export interface BoxRegressionLoss {
  /** `smooth_l1`, `giou`, `diou`, `ciou`, or the name of a registered one. */
  readonly type: string;
  /** Where smooth L1 turns from square to linear; 0 is plain L1. */
  readonly smoothL1Beta: number;
}

const IOU_LOSSES: Readonly<Record<string, typeof giouLoss>> = { giou: giouLoss, diou: diouLoss, ciou: ciouLoss };

/** One description for RPN and box head: their sections of the config have the same keys. */
export function boxLossFromConfig(section: {
  readonly BBOX_REG_LOSS_TYPE: string;
  readonly SMOOTH_L1_BETA: number;
}): BoxRegressionLoss {
  const type = section.BBOX_REG_LOSS_TYPE;
  const known = ['smooth_l1', ...Object.keys(IOU_LOSSES), ...boxLosses.names()];
  if (!known.includes(type)) throw new ConfigError(`BBOX_REG_LOSS_TYPE is ${type}; expected one of ${known.join(', ')}.`);
  return { type, smoothL1Beta: section.SMOOTH_L1_BETA };
}

/**
 * The sum over boxes of how far predicted deltas are from the wanted boxes (Detectron2's `_dense_box_regression_loss`): smooth L1 compares deltas,
 * the IoU losses compare decoded boxes.
 * @param deltas  [F, 4], F > 0
 * @param sources [F, 4] boxes that the deltas are relative to
 * @param targets [F, 4] boxes that should come out
 */
export function boxRegressionLoss(
  deltas: tf.Tensor2D,
  sources: Float32Array,
  targets: Float32Array,
  transform: Box2BoxTransform,
  { type, smoothL1Beta }: BoxRegressionLoss,
): tf.Scalar {
  return tf.tidy(() => {
    const shape: [number, number] = [sources.length / 4, 4];
    if (type === 'smooth_l1') {
      const wanted = tf.tensor2d(transform.getDeltas(sources, targets), shape);
      return tf.sum<tf.Scalar>(smoothL1(deltas, wanted, smoothL1Beta));
    }
    const loss = IOU_LOSSES[type] ?? boxLosses.require(type);
    return tf.sum<tf.Scalar>(loss(decodeDeltas(deltas, sources, transform), tf.tensor2d(targets, shape)));
  });
}

/** `Box2BoxTransform.applyDeltas` for one box a row, with a gradient. @param deltas [R, 4] @returns [R, 4] */
export function decodeDeltas(deltas: tf.Tensor2D, sources: Float32Array, transform: Box2BoxTransform): tf.Tensor2D {
  return tf.tidy(() => {
    const rows = sources.length / 4;
    const sizes = new Float32Array(rows * 2);
    const centres = new Float32Array(rows * 2);
    for (let i = 0; i < rows * 2; i++) {
      const at = (i >> 1) * 4 + (i & 1);
      sizes[i] = sources[at + 2] - sources[at];
      centres[i] = sources[at] + 0.5 * sizes[i];
    }
    const size = tf.tensor2d(sizes, [rows, 2]);
    const [wx, wy, ww, wh] = transform.weights;
    const shift = tf.div(tf.slice(deltas, [0, 0], [-1, 2]), tf.tensor1d([wx, wy]));
    const scale = tf.minimum(tf.div(tf.slice(deltas, [0, 2], [-1, 2]), tf.tensor1d([ww, wh])), transform.scaleClamp);
    const centre = tf.add(tf.mul(shift, size), tf.tensor2d(centres, [rows, 2]));
    const half = tf.mul(tf.mul(tf.exp(scale), size), 0.5);
    return tf.concat([tf.sub(centre, half), tf.add(centre, half)], 1) as tf.Tensor2D;
  });
}
