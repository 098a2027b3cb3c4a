import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/resnet.js';
import { ConfigError } from '../errors.js';
import { multilevelRoiAlign } from '../ops/roi_align/multilevel_roi_align.js';

/** The size at which a box belongs to the canonical level (Lin et al. 2017, equation 1). */
const CANONICAL_BOX_SIZE = 224;
const CANONICAL_LEVEL = 4;

export interface RoiPoolerOptions {
  readonly inFeatures: readonly string[];
  /** Per feature: 1 / stride. */
  readonly scales: readonly number[];
  readonly outputSize: number;
  /** Samples per bin and axis; 0 is as many as the bin has pixels. */
  readonly samplingRatio: number;
  /** Half-pixel correction (Detectron2's ROIAlignV2). */
  readonly aligned: boolean;
}

/** Pools regions from the pyramid level that their size calls for (Detectron2's `ROIPooler`). */
export class RoiPooler {
  constructor(readonly options: RoiPoolerOptions) {}

  /** One description for box, mask and keypoint heads: they differ in three config values. */
  static fromConfig(
    head: { readonly POOLER_RESOLUTION: number; readonly POOLER_SAMPLING_RATIO: number; readonly POOLER_TYPE: string },
    inFeatures: readonly string[],
    features: FeatureShapes,
  ): RoiPooler {
    if (head.POOLER_TYPE !== 'ROIAlignV2' && head.POOLER_TYPE !== 'ROIAlign') {
      throw new ConfigError(`POOLER_TYPE is ${head.POOLER_TYPE}; expected ROIAlignV2 or ROIAlign.`);
    }
    return new RoiPooler({
      inFeatures,
      scales: inFeatures.map((name) => 1 / features[name].stride),
      outputSize: head.POOLER_RESOLUTION,
      samplingRatio: head.POOLER_SAMPLING_RATIO,
      aligned: head.POOLER_TYPE === 'ROIAlignV2',
    });
  }

  /**
   * @param features maps by name, each [N, H, W, C]
   * @param boxes    per image [R_i, 4] in input pixels
   * @returns        [R, outputSize, outputSize, C], image after image, rows in the order of the boxes
   */
  forward(features: FeatureMaps, boxes: readonly Float32Array[]): tf.Tensor4D {
    const { inFeatures, scales, outputSize, samplingRatio, aligned } = this.options;
    const rois = batchedRois(boxes);
    const minLevel = -Math.log2(scales[0]);
    const maxLevel = -Math.log2(scales[scales.length - 1]);
    const levels = assignLevels(rois, minLevel, maxLevel);
    return tf.tidy(() =>
      multilevelRoiAlign(
        inFeatures.map((name) => features[name]),
        tf.tensor2d(rois, [levels.length, 5]),
        levels,
        { outputSize: [outputSize, outputSize], spatialScales: [...scales], samplingRatio, aligned },
      ),
    );
  }
}

/** Boxes of several images as rows (image, x0, y0, x1, y1). */
function batchedRois(boxes: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const count = boxes.reduce((sum, list) => sum + list.length / 4, 0);
  const rois = new Float32Array(count * 5);
  let at = 0;
  boxes.forEach((list, image) => {
    for (let i = 0; i < list.length; i += 4, at += 5) {
      rois[at] = image;
      rois.set(list.subarray(i, i + 4), at + 1);
    }
  });
  return rois;
}

/**
 * The pyramid level of each region: floor(4 + log2(sqrt(area) / 224 + 1e-8)) clamped to the levels there are, in float32 as Detectron2 computes it.
 * An inverted box has no area whose root is a number: its level is -minLevel, no map at all, and it pools zeros, as in Detectron2.
 * @param rois [R, 5]
 * @returns    [R] indices from 0
 */
export function assignLevels(rois: Float32Array, minLevel: number, maxLevel: number): Int32Array {
  const f = Math.fround;
  const levels = new Int32Array(rois.length / 5);
  for (let i = 0, at = 0; i < levels.length; i++, at += 5) {
    const area = f(f(rois[at + 3] - rois[at + 1]) * f(rois[at + 4] - rois[at + 2]));
    const level = Math.floor(f(CANONICAL_LEVEL + f(Math.log2(f(f(f(Math.sqrt(area)) / CANONICAL_BOX_SIZE) + 1e-8)))));
    levels[i] = Number.isNaN(level) ? -minLevel : Math.min(Math.max(level, minLevel), maxLevel) - minLevel;
  }
  return levels;
}
