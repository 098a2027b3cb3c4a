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
