import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../../errors.js';
import { type BatchedNmsOptions, suppressOnDevice } from '../nms/batched_nms.js';
import { BATCHED_ROTATED_NMS, ROTATED_IOU } from './kernel_names.js';
import './boxes_host.js';
import './boxes_webgl.js';
import './boxes_webgpu.js';

/**
 * Intersection over union of rotated boxes on the running backend, as `rotatedIou`: (cx, cy, w, h, angle), pixels, and degrees counterclockwise as one
 * sees the picture. cpu, wasm and tensorflow compute in float64 on the host; webgpu and webgl in float32, in the frame of the second box, which is off by about 1e-6.
 * Without a gradient.
 * @param a [A, 5]
 * @param b [B, 5]
 * @returns [A, B]
 * @throws ArgumentError for other shapes
 */
export function rotatedIouOnDevice(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor2D {
  for (const boxes of [a, b]) {
    if (boxes.rank !== 2 || boxes.shape[1] !== 5)
      throw new ArgumentError(`rotatedIou: boxes are [${boxes.shape.join(', ')}]; expected [N, 5] as (cx, cy, w, h, angle).`);
  }
  if (a.size === 0 || b.size === 0) return tf.zeros([a.shape[0], b.shape[0]]);
  return tf.engine().runKernel(ROTATED_IOU, { a, b }) as tf.Tensor2D;
}

/**
 * Non-maximum suppression of rotated boxes within groups on the running backend, without waiting for it (Detectron2's `batched_nms_rotated`): a box is
 * dropped when its IoU with a kept box of a higher score is **at least** the threshold, unlike that of upright boxes. Groups are moved apart by an offset
 * in float32, whose rounding is part of the result. The rest is as `batchedNmsOnDevice` says; the overlaps of webgpu and webgl are those of `rotatedIouOnDevice`.
 * @param boxes  [N, 5] as (cx, cy, w, h, degrees counterclockwise)
 * @param scores [N]
 * @param groups [N] int32, from 0 to 2^24; one group unless given
 * @returns      [1 + most] int32: how many are kept, then their indices by decreasing score, then -1; see `readKept`
 * @throws ArgumentError for shapes or options that do not fit
 * @throws BackendError where the GPU has no room for so many boxes
 */
export function batchedRotatedNmsOnDevice(
  boxes: tf.Tensor2D,
  scores: tf.Tensor1D,
  groups: tf.Tensor1D | undefined,
  options: BatchedNmsOptions,
): tf.Tensor1D {
  return suppressOnDevice('rotated NMS', BATCHED_ROTATED_NMS, 5, [boxes, scores, groups], options);
}
