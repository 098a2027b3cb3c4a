import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../../errors.js';
import { ROTATED_ROI_ALIGN, ROTATED_ROI_ALIGN_GRAD, type RotatedRoiAlignAttributes } from './kernel_names.js';
import type { RotatedRoiAlignOptions } from './samples.js';
import './roi_align_host.js';
import './roi_align_webgl.js';
import './roi_align_webgpu.js';

export type { RotatedRoiAlignOptions } from './samples.js';

tf.registerGradient({
  kernelName: ROTATED_ROI_ALIGN,
  inputsToSave: ['rois'],
  gradFunc: (dy, [rois], attrs) => ({
    x: () => tf.engine().runKernel(ROTATED_ROI_ALIGN_GRAD, { dy: dy as tf.Tensor, rois }, attrs) as tf.Tensor,
    rois: () => tf.zerosLike(rois),
  }),
});

/**
 * RoIAlign of rotated regions on one map (Detectron2's `ROIAlignRotated`): the grid of samples is turned with the region.
 *
 * - Coordinates are multiplied by the scale, the centre minus 0.5. Sample i of n in a bin lies at `(i + 0.5) / n` of it; samples beyond -1 or the
 *   map's size give 0, those between continue the border. The sum is divided by the number of all samples.
 * - `samplingRatio` 0: n = ceil(bin size) for each axis. Regions that are not finite give 0, as do those of an image that does not exist where only a GPU
 *   knows it. No regions: [0, h, w, C].
 * - Gradient with respect to the map; `rois` get zeros. It is the same from run to run on cpu, wasm and tensorflow; on webgpu after
 *   `tf.env().set('MASKRCNN_DETERMINISTIC', true)`, for by default that adds with atomics.
 *
 * @param features [N, H, W, C], float32
 * @param rois     [R, 6] as (image, cx, cy, w, h, angle): image pixels, degrees counterclockwise
 * @returns        [R, h, w, C]
 * @throws ArgumentError for shapes that do not fit or, where the host has the coordinates, for a region whose image does not exist
 */
export function rotatedRoiAlign(features: tf.Tensor4D, rois: tf.Tensor2D, o: RotatedRoiAlignOptions): tf.Tensor4D {
  if (features.rank !== 4 || features.shape.some((n) => n < 1) || features.dtype !== 'float32')
    throw new ArgumentError(
      `rotatedRoiAlign: the map is ${features.dtype} [${features.shape.join(', ')}]; expected float32 [N, H, W, C] without zeros.`,
    );
  if (rois.rank !== 2 || rois.shape[1] !== 6 || rois.dtype !== 'float32')
    throw new ArgumentError(
      `rotatedRoiAlign: rois are ${rois.dtype} [${rois.shape.join(', ')}]; expected float32 [R, 6] as (image, cx, cy, w, h, angle).`,
    );
  const [height, width] = o.outputSize;
  if (![height, width].every((n) => Number.isInteger(n) && n > 0) || !Number.isInteger(o.samplingRatio) || o.samplingRatio < 0) {
    throw new ArgumentError(
      `rotatedRoiAlign: outputSize [${o.outputSize.join(', ')}] and samplingRatio ${o.samplingRatio}; expected positive integers, and 0 or more.`,
    );
  }
  const attributes: RotatedRoiAlignAttributes = { ...o, shape: features.shape };
  return tf.engine().runKernel(ROTATED_ROI_ALIGN, { x: features, rois }, attributes as unknown as tf.NamedAttrMap) as tf.Tensor4D;
}
