import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../../errors.js';
import type { RoiAlignOptions } from './geometry.js';
import { MULTILEVEL_ROI_ALIGN, MULTILEVEL_ROI_ALIGN_GRAD, type RoiAlignCall } from './kernel_names.js';
import type { LevelRange } from './levels.js';
import './cpu.js';
import './tensorflow.js';
import './wasm.js';
import './webgl.js';
import './webgpu.js';

export type { RoiAlignOptions } from './geometry.js';

tf.registerGradient({
  kernelName: MULTILEVEL_ROI_ALIGN,
  inputsToSave: ['rois'],
  gradFunc: (dy, [rois], attrs) => {
    const { shapes } = attrs as unknown as RoiAlignCall;
    const gradients = tf
      .engine()
      .runKernel(MULTILEVEL_ROI_ALIGN_GRAD, { dy: dy as tf.Tensor, rois }, attrs) as unknown as tf.Tensor[];
    const thunks: Record<string, () => tf.Tensor> = { rois: () => tf.zerosLike(rois) };
    shapes.forEach((_, level) => {
      thunks[`x${level}`] = () => gradients[level];
    });
    return thunks;
  },
});

/**
 * RoIAlign over several maps (a feature pyramid) in one kernel: every region is cut out of its own map and pooled to one size, by
 * the mean of bilinear samples on a regular grid in every bin. Equals Detectron2's ROIAlign for each map.
 *
 * Contract, for every backend:
 * - Region coordinates are multiplied by the map's scale; `aligned` then subtracts 0.5, otherwise regions have at least size 1 x 1.
 *   Each step rounds to float32, which decides the number of samples and what lies outside.
 * - Sample i of n in bin b lies at `start + b bin + (i + 0.5) bin / n`. Samples beyond -1 or beyond the map's size give 0; between -1
 *   and 0, and on the last pixel, the border is continued. The sum is divided by the number of all samples.
 * - `samplingRatio` 0: n = ceil(bin size) for each axis; inverted regions then have none and give 0.
 * - Regions with coordinates that are not finite, and regions on no map (a negative level), give 0; so do regions of an image that does not exist
 *   where only a GPU knows it.
 * - Order of rows: that of `rois`. No regions: a tensor of shape [0, h, w, C].
 * - Gradient: with respect to the maps, exact adjoint of the above; `rois` get zeros. On cpu, wasm, tensorflow and webgl it is the same from run to run, on
 *   webgpu after `tf.env().set('MASKRCNN_DETERMINISTIC', true)`: by default that adds with atomics, which is faster and equal up to rounding.
 *
 * @param features maps [N, H, W, C], float32; N and C are common
 * @param rois     [R, 5] as (image, x0, y0, x1, y1), image pixels
 * @param levels   [R] index of each region's map; negative: none. Or the range of the maps' levels: the kernel assigns by size (`assignLevels`)
 * @returns        [R, h, w, C]
 * @throws ArgumentError for shapes that do not fit, for a region whose level does not exist, or, where the host has the coordinates, whose image does not
 */
export function multilevelRoiAlign(
  features: tf.Tensor4D[],
  rois: tf.Tensor2D,
  levels: Int32Array | LevelRange,
  o: RoiAlignOptions,
): tf.Tensor4D {
  checkArguments(features, rois, levels, o);
  const attributes: RoiAlignCall = {
    outputSize: o.outputSize,
    spatialScales: o.spatialScales,
    samplingRatio: o.samplingRatio,
    aligned: o.aligned,
    levels,
    shapes: features.map((map) => map.shape),
  };
  const inputs: tf.NamedTensorMap = { rois };
  features.forEach((map, level) => {
    inputs[`x${level}`] = map;
  });
  return tf.engine().runKernel(MULTILEVEL_ROI_ALIGN, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor4D;
}

function checkArguments(features: tf.Tensor4D[], rois: tf.Tensor2D, levels: Int32Array | LevelRange, o: RoiAlignOptions): void {
  if (features.length === 0) throw new ArgumentError('RoIAlign needs at least one feature map, got none.');
  const [images, , , channels] = features[0].shape;
  features.forEach((map, level) => {
    const [n, height, width, c] = map.shape;
    if (map.rank !== 4 || n !== images || c !== channels || height < 1 || width < 1 || map.dtype !== 'float32') {
      throw new ArgumentError(
        `RoIAlign: map ${level} is ${map.dtype} [${map.shape.join(', ')}]; expected float32 [${images}, H, W, ${channels}] as map 0, H and W at least 1.`,
      );
    }
  });
  if (rois.rank !== 2 || rois.shape[1] !== 5 || rois.dtype !== 'float32') {
    throw new ArgumentError(
      `RoIAlign: rois are ${rois.dtype} [${rois.shape.join(', ')}]; expected float32 [R, 5] as (image, x0, y0, x1, y1).`,
    );
  }
  if (levels instanceof Int32Array && levels.length !== rois.shape[0]) {
    throw new ArgumentError(`RoIAlign: ${levels.length} levels for ${rois.shape[0]} rois; expected one each.`);
  }
  const beyond = levels instanceof Int32Array ? levels.findIndex((level) => level >= features.length) : -1;
  if (beyond >= 0) {
    throw new ArgumentError(
      `Region ${beyond} is on level ${(levels as Int32Array)[beyond]}; there are ${features.length} maps, so at most ${features.length - 1} is valid.`,
    );
  }
  if (!(levels instanceof Int32Array) && levels.maxLevel - levels.minLevel >= features.length) {
    throw new ArgumentError(
      `RoIAlign: levels ${levels.minLevel} to ${levels.maxLevel} for ${features.length} maps; expected a map for each.`,
    );
  }
  if (o.spatialScales.length !== features.length) {
    throw new ArgumentError(`RoIAlign: ${o.spatialScales.length} scales for ${features.length} maps; expected one each.`);
  }
  if (o.outputSize.length !== 2 || !o.outputSize.every((n) => Number.isInteger(n) && n > 0)) {
    throw new ArgumentError(
      `RoIAlign: outputSize is [${o.outputSize.join(', ')}]; expected two positive integers, height and width.`,
    );
  }
  if (!Number.isInteger(o.samplingRatio) || o.samplingRatio < 0) {
    throw new ArgumentError(`RoIAlign: samplingRatio is ${o.samplingRatio}; expected 0 (adaptive) or a positive integer.`);
  }
}
