import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Linear } from '../layers/linear.js';
import { Module } from '../layers/module.js';
import { Box2BoxTransform } from '../rpn/box_transform.js';
import { NormalisedTransform } from '../rpn/normalised_transform.js';

export interface BoxPredictorOptions {
  readonly inFeatures: number;
  /** Classes without the background, which is the last column. */
  readonly numClasses: number;
  readonly classAgnostic: boolean;
  readonly transform: Box2BoxTransform;
}

/** Class logits [R, K + 1] and box deltas [R, 4K] (or [R, 4] when class-agnostic), class-major (Detectron2's `FastRCNNOutputLayers`). */
export class BoxPredictor extends Module {
  readonly transform: Box2BoxTransform;
  private readonly clsScore: Linear;
  private readonly bboxPred: Linear;

  constructor(readonly options: BoxPredictorOptions) {
    super();
    const { inFeatures, numClasses, classAgnostic } = options;
    this.transform = options.transform;
    this.clsScore = this.child(
      'cls_score',
      new Linear({ inFeatures, outFeatures: numClasses + 1, init: { kind: 'normal', std: 0.01 } }),
    );
    this.bboxPred = this.child(
      'bbox_pred',
      new Linear({ inFeatures, outFeatures: 4 * (classAgnostic ? 1 : numClasses), init: { kind: 'normal', std: 0.001 } }),
    );
  }

  static fromConfig(cfg: Config, inFeatures: number): BoxPredictor {
    const head = cfg.MODEL.ROI_BOX_HEAD;
    if (head.USE_SIGMOID_CE || head.USE_FED_LOSS)
      throw new ConfigError('MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE and USE_FED_LOSS are not supported; expected false.');
    return new BoxPredictor({
      inFeatures,
      numClasses: cfg.MODEL.ROI_HEADS.NUM_CLASSES,
      classAgnostic: head.CLS_AGNOSTIC_BBOX_REG,
      transform: new (cfg.MODEL.CONVENTIONS === 'matterport' ? NormalisedTransform : Box2BoxTransform)(head.BBOX_REG_WEIGHTS),
    });
  }

  /** @param x [R, F] */
  forward(x: tf.Tensor2D): { logits: tf.Tensor2D; deltas: tf.Tensor2D } {
    return { logits: this.clsScore.forward(x), deltas: this.bboxPred.forward(x) };
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    const { logits, deltas } = this.forward((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor2D);
    return [logits, deltas];
  }
}
