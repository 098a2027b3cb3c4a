import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ArgumentError, ConfigError } from '../errors.js';
import { Conv2d } from '../layers/conv2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import { upsampleBilinear } from '../layers/upsample_bilinear.js';
import { pixelCrossEntropy } from '../losses/pixel_cross_entropy.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { padLabels } from './pad_labels.js';

export interface SemSegHeadOptions {
  readonly inFeatures: readonly string[];
  /** Of `inFeatures`, in their order. */
  readonly inShapes: readonly { readonly channels: number; readonly stride: number }[];
  readonly numClasses: number;
  readonly channels: number;
  /** The stride, in input pixels, at which the levels are summed. */
  readonly commonStride: number;
  readonly norm: string;
  /** The label of pixels that training passes over, and the weight of the loss. */
  readonly ignoreValue: number;
  readonly lossWeight: number;
}

/** One level's path: as many convolutions with 2x upsampling as bring it to the common stride, one at least. */
class LevelPath extends Module {
  private readonly convs: readonly Conv2d[];

  constructor(
    inChannels: number,
    channels: number,
    norm: string,
    private readonly doublings: number,
  ) {
    super();
    // Between two convolutions stands an upsampling that has a number of its own.
    this.convs = Array.from({ length: Math.max(1, doublings) }, (_, i) => {
      const options = { kernelSize: 3, padding: 1, norm, activation: 'relu' } as const;
      return this.child(
        String(2 * i),
        new Conv2d({ inChannels: i === 0 ? inChannels : channels, outChannels: channels, ...options }),
      );
    });
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() =>
      this.convs.reduce((y, conv) => (this.doublings > 0 ? upsampleBilinear(conv.forward(y), 2) : conv.forward(y)), x),
    );
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

/** The semantic branch of a panoptic FPN (Kirillov et al. 2019, figure 3; Detectron2's `SemSegFPNHead`). */
export class SemSegHead extends Module {
  private readonly paths: LevelPath[];
  private readonly predictor: Conv2d;

  constructor(readonly options: SemSegHeadOptions) {
    super();
    const { inFeatures, inShapes, channels, norm, commonStride, numClasses } = options;
    this.paths = inFeatures.map((name, i) => {
      const doublings = Math.round(Math.log2(inShapes[i].stride) - Math.log2(commonStride));
      return this.child(name, new LevelPath(inShapes[i].channels, channels, norm, doublings));
    });
    this.predictor = this.child('predictor', new Conv2d({ inChannels: channels, outChannels: numClasses, kernelSize: 1 }));
  }

  static fromConfig(cfg: Config, features: FeatureShapes): SemSegHead {
    const head = cfg.MODEL.SEM_SEG_HEAD;
    const inShapes = head.IN_FEATURES.map((name) => {
      if (features[name]) return features[name];
      const given = Object.keys(features).join(', ');
      throw new ConfigError(`MODEL.SEM_SEG_HEAD.IN_FEATURES names ${name}; the backbone gives ${given}.`);
    });
    return new SemSegHead({
      inFeatures: head.IN_FEATURES,
      inShapes,
      numClasses: head.NUM_CLASSES,
      channels: head.CONVS_DIM,
      commonStride: head.COMMON_STRIDE,
      norm: head.NORM,
      ignoreValue: head.IGNORE_VALUE,
      lossWeight: head.LOSS_WEIGHT,
    });
  }

  /** @param features maps by name, each [N, H / stride, W / stride, C] @returns logits [N, H / common stride, W / common stride, K] */
  forwardCommon(features: FeatureMaps): tf.Tensor4D {
    return tf.tidy(() => {
      const maps = this.options.inFeatures.map((name, i) => this.paths[i].forward(features[name]));
      return this.predictor.forward(maps.reduce((sum, map) => tf.add<tf.Tensor4D>(sum, map)));
    });
  }

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
