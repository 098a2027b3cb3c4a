import * as tf from '@tensorflow/tfjs-core';
import { Backbone, type FeatureMaps, type FeatureShapes } from '../backbone/backbone.js';
import { ResNet } from '../backbone/resnet.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Conv2d } from '../layers/conv2d.js';
import { upsampleNearest2x } from '../layers/upsample_nearest.js';
import { LastLevelP6P7 } from './last_level_p6_p7.js';

export interface FpnOptions {
  readonly bottomUp: Backbone;
  /** Stages that the pyramid stands on, finest first. */
  readonly inFeatures: readonly string[];
  readonly outChannels: number;
  readonly norm: string;
  readonly fuseType: 'sum' | 'avg';
  /** Above the pyramid: p5 at every second pixel (two-stage detectors), or two more convolutions of stride 2 on res5 (RetinaNet). */
  readonly topBlock: 'maxpool' | 'p6p7';
}

/** What each of Detectron2's builders puts on top. */
const TOP_BLOCKS: Readonly<Record<string, FpnOptions['topBlock']>> = {
  build_resnet_fpn_backbone: 'maxpool',
  build_retinanet_resnet_fpn_backbone: 'p6p7',
  build_regnet_fpn_backbone: 'maxpool',
};

/** Feature pyramid (Lin et al. 2017): lateral 1x1, nearest 2x upsampling from above, output 3x3, and what the top block adds. */
export class Fpn extends Backbone {
  /** p2 .. p6 or p3 .. p7, finest first. */
  readonly outShapes: FeatureShapes = {};
  /** Inputs are padded to a multiple of this. */
  readonly sizeDivisibility: number;
  private readonly laterals: Conv2d[] = [];
  private readonly outputs: Conv2d[] = [];
  private readonly top: LastLevelP6P7 | undefined;

  constructor(private readonly options: FpnOptions) {
    super();
    const { bottomUp, inFeatures, outChannels, norm } = options;
    let level = 0;
    let stride = 1;
    for (const name of inFeatures) {
      const shape = bottomUp.outShapes[name];
      if (!shape)
        throw new ConfigError(
          `MODEL.FPN.IN_FEATURES names ${name}, which the backbone does not give out; it gives ${Object.keys(bottomUp.outShapes).join(', ')}.`,
        );
      stride = shape.stride;
      level = Math.log2(stride);
      const init = { kind: 'xavier' } as const;
      this.laterals.push(
        this.child(`fpn_lateral${level}`, new Conv2d({ inChannels: shape.channels, outChannels, kernelSize: 1, norm, init })),
      );
      this.outputs.push(
        this.child(
          `fpn_output${level}`,
          new Conv2d({ inChannels: outChannels, outChannels, kernelSize: 3, padding: 1, norm, init }),
        ),
      );
      this.outShapes[`p${level}`] = { channels: outChannels, stride };
    }
    this.sizeDivisibility = stride;
    this.outShapes[`p${level + 1}`] = { channels: outChannels, stride: stride * 2 };
    if (options.topBlock === 'p6p7') {
      this.outShapes[`p${level + 2}`] = { channels: outChannels, stride: stride * 4 };
      const inChannels = bottomUp.outShapes[inFeatures[inFeatures.length - 1]].channels;
      this.top = this.child('top_block', new LastLevelP6P7(inChannels, outChannels));
    }
    this.child('bottom_up', bottomUp);
  }

  /** @param bottomUp a backbone of one's own to stand on; the config's ResNet unless given */
  static fromConfig(cfg: Config, bottomUp?: Backbone): Fpn {
    const { FPN: fpn, BACKBONE: backbone } = cfg.MODEL;
    const topBlock = TOP_BLOCKS[backbone.NAME] ?? (bottomUp && 'maxpool');
    if (topBlock === undefined)
      throw new ConfigError(`MODEL.BACKBONE.NAME is ${backbone.NAME}; expected ${Object.keys(TOP_BLOCKS).join(' or ')}.`);
    return new Fpn({
      bottomUp: bottomUp ?? ResNet.fromConfig(cfg),
      inFeatures: fpn.IN_FEATURES,
      outChannels: fpn.OUT_CHANNELS,
      norm: fpn.NORM,
      fuseType: fpn.FUSE_TYPE === 'avg' ? 'avg' : 'sum',
      topBlock,
    });
  }

  forward(x: tf.Tensor4D, trace?: (name: string, value: tf.Tensor) => void): FeatureMaps {
    return tf.tidy(() => {
      return this.pyramid(this.options.bottomUp.forward(x, trace));
    });
  }

  private pyramid(stages: FeatureMaps): FeatureMaps {
    const { inFeatures, fuseType } = this.options;
    const levels: tf.Tensor4D[] = [];
    let above: tf.Tensor4D | undefined;
    for (let i = inFeatures.length - 1; i >= 0; i--) {
      const stage = stages[inFeatures[i]];
      const upsampled = above && upsampleNearest2x(above);
      let merged = this.laterals[i].forward(stage, upsampled);
      if (upsampled && fuseType === 'avg') merged = tf.div(merged, 2);
      above = merged;
      levels.unshift(this.outputs[i].forward(merged));
    }
    if (this.top) levels.push(...this.top.forward(stages[inFeatures[inFeatures.length - 1]]));
    // An average over one pixel is the max-pool of Detectron2; its gradient is right on every backend, that of the max-pool is not on wasm.
    else levels.push(tf.avgPool(levels[levels.length - 1], 1, 2, 'valid'));
    return Object.fromEntries(Object.keys(this.outShapes).map((name, i) => [name, levels[i]]));
  }
}
