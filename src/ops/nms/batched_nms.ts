import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../../errors.js';
import { readBack } from '../read_back.js';
import { BATCHED_NMS, type BatchedNmsAttributes } from './kernel_names.js';
import './batched_nms_host.js';
import './webgl.js';
import './webgpu.js';

export interface BatchedNmsOptions {
  /** From 0 to 1. */
  readonly iouThreshold: number;
  /** Of the kept at most so many, the best, are given out; all unless given. The fewer, the less is read. */
  readonly most?: number;
}

/**
 * Non-maximum suppression within groups (classes, pyramid levels) on the running backend, without waiting for it (Detectron2's `batched_nms`).
 *
 * - A box is dropped when its IoU with a kept box of its group and of a higher score is **above** the threshold. Areas and IoU are rounded to float32 at
 *   every step as torchvision's on the CPU, on GPUs too: an IoU of exactly the threshold stays everywhere. Two boxes without area never suppress each other.
 * - Equal scores keep the input's order; both zeros are equal.
 * - Up to 1000 boxes, groups are moved apart by an offset in float32, whose rounding is part of the result; above they are told apart by their numbers.
 * - Rows with a number that is not finite are no boxes: an input may be padded with scores of -Infinity. No boxes give [0].
 * - cpu, wasm and tensorflow suppress on the host. A GPU forms a matrix of bits, C^2 / 8 bytes for C boxes (50 MB for 20,000) on webgpu, a third more
 *   texels than C^2 / 32 on webgl, and says so where the device cannot hold it. There, products below 1e-38 may count as 0.
 * - Without a gradient.
 *
 * @param boxes  [N, 4] float32 as (x0, y0, x1, y1)
 * @param scores [N] float32
 * @param groups [N] int32, from 0 to 2^24; one group unless given
 * @returns      [1 + most] int32: how many are kept, then their indices by decreasing score, then -1; see {@link readKept}
 * @throws ArgumentError for shapes or options that do not fit
 * @throws BackendError where the GPU has no room for so many boxes
 */
export function batchedNmsOnDevice(
  boxes: tf.Tensor2D,
  scores: tf.Tensor1D,
  groups: tf.Tensor1D | undefined,
  options: BatchedNmsOptions,
): tf.Tensor1D {
  return suppressOnDevice('NMS', BATCHED_NMS, 4, [boxes, scores, groups], options);
}

/** Checks what a suppression of boxes of so many numbers is asked, and runs its kernel. @param name in messages */
export function suppressOnDevice(
  name: string,
  kernelName: string,
  columns: number,
  [boxes, scores, groups]: readonly [tf.Tensor2D, tf.Tensor1D, tf.Tensor1D | undefined],
  { iouThreshold, most = scores.size }: BatchedNmsOptions,
): tf.Tensor1D {
  const count = scores.size;
  if (scores.rank !== 1 || boxes.rank !== 2 || boxes.shape[0] !== count || boxes.shape[1] !== columns)
    throw new ArgumentError(
      `${name}: boxes are [${boxes.shape.join(', ')}], scores [${scores.shape.join(', ')}]; expected [N, ${columns}] and [N].`,
    );
  if (groups && (groups.rank !== 1 || groups.size !== count || groups.dtype !== 'int32'))
    throw new ArgumentError(
      `${name}: groups are [${groups.shape.join(', ')}] of ${groups.dtype}; expected [${count}] of int32, one for each box.`,
    );
  if (!(iouThreshold >= 0))
    throw new ArgumentError(`${name}: the IoU threshold is ${iouThreshold}; expected a number from 0 to 1.`);
  if (!Number.isInteger(most) || most < 0)
    throw new ArgumentError(`${name}: most is ${most}; expected a whole number from 0 on.`);
  const attributes: BatchedNmsAttributes = { iouThreshold, most: Math.min(most, count) };
  // Neither an empty input nor an empty choice is worth a kernel, and a GPU takes no empty arrays.
  if (attributes.most === 0) return tf.tensor1d([0], 'int32');
  return tf.tidy(() => {
    const inputs = { boxes, scores, groups: groups ?? tf.zeros([count], 'int32') };
    return tf.engine().runKernel(kernelName, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor1D;
  });
}

/** Reads what a suppression kept, once; disposes of nothing. @param kept [1 + most] as `batchedNmsOnDevice` gives it */
export async function readKept(kept: tf.Tensor1D): Promise<Int32Array> {
  const values = await readBack(kept);
  return Int32Array.from(values.subarray(1, 1 + values[0]));
}
