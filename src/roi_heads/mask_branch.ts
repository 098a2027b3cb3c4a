import type * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { Trace } from '../rpn/rpn.js';
import type { Module } from '../layers/module.js';
import type { RegionMaskHead } from './mask_head.js';
import type { RoiPooler } from './roi_pooler.js';

export interface MaskBranchOptions {
  readonly pooler: RoiPooler;
  readonly head: Module & RegionMaskHead;
  /** Between pooler and head, shared with the box branch (C4): halves the side. */
  readonly shared?: { forward(regions: tf.Tensor4D): tf.Tensor4D };
}

/** From boxes to mask logits. */
export class MaskBranch {
  /** The side of a mask, pixels. */
  readonly size: number;
  readonly head: Module & RegionMaskHead;

  constructor(private readonly options: MaskBranchOptions) {
    const { outputSize } = options.pooler.options;
    this.size = options.shared ? outputSize : 2 * outputSize;
    this.head = options.head;
  }

  /** @param boxes per image [R_i, 4] in input pixels, one at least in all @returns logits [R, size, size, K] */
  forward(features: FeatureMaps, boxes: readonly Float32Array[], trace?: Trace): tf.Tensor4D {
    const { pooler, head, shared } = this.options;
    const pooled = pooler.forward(features, boxes);
    if (!shared) trace?.('mask_pooled', pooled);
    return head.forward(shared ? shared.forward(pooled) : pooled);
  }
}
