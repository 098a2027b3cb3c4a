import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ArgumentError } from '../errors.js';
import { Module } from '../layers/module.js';
import { upsampleBilinear } from '../layers/upsample_bilinear.js';
import { pixelCrossEntropy } from '../losses/pixel_cross_entropy.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { padLabels } from './pad_labels.js';

export interface SemanticHeadOptions {
  readonly inFeatures: readonly string[];
  readonly numClasses: number;
  /** The stride, in input pixels, of what `forwardCommon` gives. */
  readonly commonStride: number;
  /** The label of pixels that training passes over, and the weight of the loss. */
  readonly ignoreValue: number;
  readonly lossWeight: number;
}

/** A semantic branch: from maps to the class of every pixel. What its layers are, `forwardCommon` says. */
export abstract class SemanticHead extends Module {
  constructor(readonly options: SemanticHeadOptions) {
    super();
  }

  /** The options that every semantic head has, from `MODEL.SEM_SEG_HEAD`. */
  static optionsFromConfig(cfg: Config): SemanticHeadOptions {
    const head = cfg.MODEL.SEM_SEG_HEAD;
    return {
      inFeatures: head.IN_FEATURES,
      numClasses: head.NUM_CLASSES,
      commonStride: head.COMMON_STRIDE,
      ignoreValue: head.IGNORE_VALUE,
      lossWeight: head.LOSS_WEIGHT,
    };
  }

  /** @param features maps by name, each [N, H / stride, W / stride, C] @returns logits [N, H / common stride, W / common stride, K] */
  abstract forwardCommon(features: FeatureMaps): tf.Tensor4D;

  /** @returns logits at the network's input resolution, [N, H, W, K] */
  forward(features: FeatureMaps): tf.Tensor4D {
    return tf.tidy(() => upsampleBilinear(this.forwardCommon(features), this.options.commonStride));
  }

  /**
   * The loss of the branch (Detectron2's `SemSegFPNHead.losses`): cross-entropy at the input's resolution, the mean over the pixels that count.
   * @param labels [N * H * W] of the padded input
   */
  computeLosses(features: FeatureMaps, labels: Uint8Array): { loss_sem_seg: tf.Scalar } {
    const { numClasses, ignoreValue, lossWeight } = this.options;
    return tf.tidy(() => {
      const logits = tf.reshape(this.forward(features), [-1, numClasses]) as tf.Tensor2D;
      return { loss_sem_seg: tf.mul<tf.Scalar>(pixelCrossEntropy(logits, labels, ignoreValue), lossWeight) };
    });
  }

  /** How many pixels the loss is a mean over. */
  countedPixels(labels: Uint8Array): number {
    return labels.reduce((count, label) => count + Number(label !== this.options.ignoreValue), 0);
  }

  /**
   * The labels of a batch as large as its padded pictures; the margin does not count.
   * @param paddedSize (height, width)
   * @returns [N * H * W]
   * @throws ArgumentError for a picture without a semantic map, or a label that is no class
   */
  paddedLabels(samples: readonly TrainingSample[], paddedSize: readonly [number, number]): Uint8Array {
    const { ignoreValue, numClasses } = this.options;
    const maps = samples.map((sample) => {
      if (!sample.semantic)
        throw new ArgumentError(
          `${sample.fileName} has no semantic map, and the model learns stuff. Name the folder of the maps, a PNG with a class per pixel each.`,
        );
      const wrong = sample.semantic.find((label) => label >= numClasses && label !== ignoreValue);
      if (wrong !== undefined)
        throw new ArgumentError(
          `The semantic map of ${sample.fileName} has the label ${wrong}; expected 0 to ${numClasses - 1} (MODEL.SEM_SEG_HEAD.NUM_CLASSES) or ${ignoreValue} (IGNORE_VALUE).`,
        );
      return { data: sample.semantic, height: sample.height, width: sample.width };
    });
    return padLabels(maps, paddedSize, ignoreValue);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const list = Array.isArray(inputs) ? inputs : [inputs];
    return this.forward(Object.fromEntries(this.options.inFeatures.map((name, i) => [name, list[i] as tf.Tensor4D])));
  }
}
