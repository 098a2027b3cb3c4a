import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Conv2d } from '../layers/conv2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import { upsampleBilinear } from '../layers/upsample_bilinear.js';
import { semanticHeads } from '../registry/registries.js';
import { SemanticHead, type SemanticHeadOptions } from './semantic_head.js';

export interface SemSegHeadOptions extends SemanticHeadOptions {
  /** Of `inFeatures`, in their order. */
  readonly inShapes: readonly { readonly channels: number; readonly stride: number }[];
  readonly channels: number;
  readonly norm: string;
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
export class SemSegHead extends SemanticHead {
  private readonly paths: LevelPath[];
  private readonly predictor: Conv2d;

  constructor(override readonly options: SemSegHeadOptions) {
    super(options);
    const { inFeatures, inShapes, channels, norm, commonStride, numClasses } = options;
    this.paths = inFeatures.map((name, i) => {
      const doublings = Math.round(Math.log2(inShapes[i].stride) - Math.log2(commonStride));
      return this.child(name, new LevelPath(inShapes[i].channels, channels, norm, doublings));
    });
    this.predictor = this.child('predictor', new Conv2d({ inChannels: channels, outChannels: numClasses, kernelSize: 1 }));
  }

  static fromConfig(cfg: Config, features: FeatureShapes): SemanticHead {
    const head = cfg.MODEL.SEM_SEG_HEAD;
    const own = semanticHeads.get(head.NAME);
    if (own) return own(cfg, features);
    const inShapes = head.IN_FEATURES.map((name) => {
      if (features[name]) return features[name];
      const given = Object.keys(features).join(', ');
      throw new ConfigError(`MODEL.SEM_SEG_HEAD.IN_FEATURES names ${name}; the backbone gives ${given}.`);
    });
    return new SemSegHead({ ...SemanticHead.optionsFromConfig(cfg), inShapes, channels: head.CONVS_DIM, norm: head.NORM });
  }

  override forwardCommon(features: FeatureMaps): tf.Tensor4D {
    return tf.tidy(() => {
      const maps = this.options.inFeatures.map((name, i) => this.paths[i].forward(features[name]));
      return this.predictor.forward(maps.reduce((sum, map) => tf.add<tf.Tensor4D>(sum, map)));
    });
  }
}
