import * as tf from '@tensorflow/tfjs-core';
import { BottleneckBlock } from '../backbone/blocks.js';
import { Stage } from '../backbone/stage.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import type { Trace } from '../rpn/rpn.js';
import type { RegionHead } from './box_head.js';

/** The last stage of a ResNet as a head on regions (Ren et al. 2015 on ResNets; Detectron2's C4 models): 14x14 to 7x7, then the mean. */
export class Res5BoxHead extends Module implements RegionHead {
  readonly outputSize: number;
  /** Seen by the mask branch too. */
  readonly stage: Stage;

  constructor(stage: Stage, outputSize: number) {
    super();
    this.stage = stage;
    this.outputSize = outputSize;
  }

  static fromConfig(cfg: Config, inChannels: number): Res5BoxHead {
    const { RESNETS: resnets } = cfg.MODEL;
    if (resnets.DEFORM_ON_PER_STAGE[3])
      throw new ConfigError('MODEL.RESNETS.DEFORM_ON_PER_STAGE asks for a deformable res5, which a head on regions cannot be.');
    const outChannels = resnets.RES2_OUT_CHANNELS * 8;
    const common = {
      outChannels,
      bottleneckChannels: resnets.NUM_GROUPS * resnets.WIDTH_PER_GROUP * 8,
      groups: resnets.NUM_GROUPS,
      strideIn1x1: resnets.STRIDE_IN_1X1,
      norm: resnets.NORM,
      dilation: 1,
    };
    const blocks = [0, 1, 2].map(
      (i) => new BottleneckBlock({ ...common, inChannels: i === 0 ? inChannels : outChannels, stride: i === 0 ? 2 : 1 }),
    );
    return new Res5BoxHead(new Stage(blocks), outChannels);
  }

  /** @param regions [R, 14, 14, C], R > 0 @returns [R, F] */
  forward(regions: tf.Tensor4D, trace?: Trace): tf.Tensor2D {
    return tf.tidy(() => {
      const maps = this.stage.forward(regions);
      trace?.('res5_roi', maps);
      return tf.mean<tf.Tensor2D>(maps, [1, 2]);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}
