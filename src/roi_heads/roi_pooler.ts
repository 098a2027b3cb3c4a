import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import { ConfigError } from '../errors.js';
import { assignLevels } from '../ops/roi_align/levels.js';
import { multilevelRoiAlign } from '../ops/roi_align/multilevel_roi_align.js';

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
   * @param boxes    per image [R_i, 4] in input pixels; or a tensor whose rows begin with (image, x0, y0, x1, y1), which stays where it is
   * @returns        [R, outputSize, outputSize, C], image after image, rows in the order of the boxes
   */
  forward(features: FeatureMaps, boxes: readonly Float32Array[] | tf.Tensor2D): tf.Tensor4D {
    const { inFeatures, scales, outputSize, samplingRatio, aligned } = this.options;
    const range = { minLevel: -Math.log2(scales[0]), maxLevel: -Math.log2(scales[scales.length - 1]) };
    const options = {
      outputSize: [outputSize, outputSize] as [number, number],
      spatialScales: [...scales],
      samplingRatio,
      aligned,
    };
    const maps = inFeatures.map((name) => features[name]);
    return tf.tidy(() => {
      if (boxes instanceof tf.Tensor)
        return multilevelRoiAlign(maps, tf.slice(boxes, [0, 0], [boxes.shape[0], 5]), range, options);
      const rois = batchedRois(boxes);
      const levels = assignLevels(rois, range.minLevel, range.maxLevel);
      return multilevelRoiAlign(maps, tf.tensor2d(rois, [levels.length, 5]), levels, options);
    });
  }
}

/** Boxes of several images as rows (image, x0, y0, x1, y1). */
export function batchedRois(boxes: readonly Float32Array[]): Float32Array<ArrayBuffer> {
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
