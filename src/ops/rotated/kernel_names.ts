import type { RotatedRoiAlignOptions } from './samples.js';

/** Inputs: `x` [N, H, W, C] and `rois` [R, 6]; output [R, h, w, C]. */
export const ROTATED_ROI_ALIGN = 'RotatedRoiAlign';

/** Inputs: `dy` [R, h, w, C] and `rois`; output: the gradient of x. */
export const ROTATED_ROI_ALIGN_GRAD = 'RotatedRoiAlignGrad';

/** The attributes of both kernels. */
export interface RotatedRoiAlignAttributes extends RotatedRoiAlignOptions {
  /** The map's shape, [N, H, W, C]. */
  shape: number[];
}

/** Inputs: `a` [A, 5] and `b` [B, 5]; output [A, B]. */
export const ROTATED_IOU = 'RotatedIou';

/** Inputs: `boxes` [N, 5], `scores` [N], `groups` [N] int32; attributes and output are those of `BatchedNms`. */
export const BATCHED_ROTATED_NMS = 'BatchedRotatedNms';
