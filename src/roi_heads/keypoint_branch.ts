import type * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import type { Module } from '../layers/module.js';
import type { Trace } from '../rpn/rpn.js';
import { KeypointHead, type RegionKeypointHead } from './keypoint_head.js';
import type { KeypointLossOptions } from './keypoint_loss.js';
import { RoiPooler } from './roi_pooler.js';

export interface KeypointBranchOptions {
  readonly pooler: RoiPooler;
  readonly head: Module & RegionKeypointHead;
  /** Keypoints of an object. */
  readonly count: number;
  readonly loss: KeypointLossOptions;
  /** What a keypoint's score is: its softmax over the heatmap (Detectron2), or the heatmap's value itself (torchvision). */
  readonly score: 'softmax' | 'logit';
}

/** From boxes to keypoint heatmaps. */
export class KeypointBranch {
  /** The side of a heatmap, pixels. */
  readonly size: number;
  readonly count: number;
  readonly head: Module & RegionKeypointHead;
  readonly loss: KeypointLossOptions;
  readonly score: KeypointBranchOptions['score'];

  constructor(private readonly options: KeypointBranchOptions) {
    this.size = 4 * options.pooler.options.outputSize;
    this.count = options.count;
    this.head = options.head;
    this.loss = options.loss;
    this.score = options.score;
  }

  /** @returns undefined for models without keypoints */
  static fromConfig(cfg: Config, features: FeatureShapes): KeypointBranch | undefined {
    const { CONVENTIONS, KEYPOINT_ON, ROI_HEADS: heads, ROI_KEYPOINT_HEAD: keypoint } = cfg.MODEL;
    if (!KEYPOINT_ON) return undefined;
    const perImage = keypoint.NUM_KEYPOINTS * heads.BATCH_SIZE_PER_IMAGE * heads.POSITIVE_FRACTION;
    return new KeypointBranch({
      pooler: RoiPooler.fromConfig(keypoint, heads.IN_FEATURES, features),
      head: KeypointHead.fromConfig(cfg, features[heads.IN_FEATURES[0]].channels),
      count: keypoint.NUM_KEYPOINTS,
      score: CONVENTIONS === 'torchvision' ? 'logit' : 'softmax',
      loss: {
        weight: keypoint.LOSS_WEIGHT,
        normalizer: keypoint.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS ? 'visible' : perImage,
      },
    });
  }

  /** @param boxes per image [R_i, 4] in input pixels, one at least in all @returns logits [R, size, size, P] */
  forward(features: FeatureMaps, boxes: readonly Float32Array[], trace?: Trace): tf.Tensor4D {
    const pooled = this.options.pooler.forward(features, boxes);
    trace?.('keypoint_pooled', pooled);
    return this.head.forward(pooled, trace);
  }
}
