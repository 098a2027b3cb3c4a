import type * as tf from '@tensorflow/tfjs-core';
import { multilevelRoiAlign } from './multilevel_roi_align.js';

/**
 * RoIAlign on one map; the contract is at {@link multilevelRoiAlign}.
 * @param features [N, H, W, C], float32
 * @param rois     [R, 5] as (image, x0, y0, x1, y1), image pixels
 * @returns        [R, h, w, C]
 * @throws ArgumentError as `multilevelRoiAlign`
 */
export function roiAlign(
  features: tf.Tensor4D,
  rois: tf.Tensor2D,
  o: { outputSize: [number, number]; spatialScale: number; samplingRatio: number; aligned: boolean },
): tf.Tensor4D {
  return multilevelRoiAlign([features], rois, new Int32Array(rois.shape[0]), {
    outputSize: o.outputSize,
    spatialScales: [o.spatialScale],
    samplingRatio: o.samplingRatio,
    aligned: o.aligned,
  });
}
