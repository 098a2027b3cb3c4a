import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Conv2d } from '../layers/conv2d.js';
import { Linear } from '../layers/linear.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import { boxHeads } from '../registry/registries.js';
import type { Trace } from '../rpn/rpn.js';

/** What turns pooled regions into vectors. */
export interface RegionHead {
  readonly outputSize: number;
  /** @param regions [R, r, r, C], R > 0 @param trace sees what lies between @returns [R, outputSize] */
  forward(regions: tf.Tensor4D, trace?: Trace): tf.Tensor2D;
}

export interface BoxHeadOptions {
  readonly inChannels: number;
  /** Side of the pooled region, in bins. */
  readonly resolution: number;
  /** Widths of the 3x3 convolutions, then of the fully connected layers. */
  readonly convDims: readonly number[];
  readonly fcDims: readonly number[];
  readonly norm: string;
}

/** Convolutions and fully connected layers on pooled regions (Detectron2's `FastRCNNConvFCHead`). */
export class BoxHead extends Module implements RegionHead {
  readonly outputSize: number;
  private readonly convs: Conv2d[] = [];
  private readonly fcs: Linear[] = [];

  constructor({ inChannels, resolution, convDims, fcDims, norm }: BoxHeadOptions) {
    super();
    let channels = inChannels;
    convDims.forEach((outChannels, i) => {
      const conv = new Conv2d({ inChannels: channels, outChannels, kernelSize: 3, padding: 1, norm, activation: 'relu' });
      this.convs.push(this.child(`conv${i + 1}`, conv));
      channels = outChannels;
    });
    let features = channels * resolution * resolution;
    fcDims.forEach((outFeatures, i) => {
      const fc = new Linear({
        inFeatures: features,
        outFeatures,
        activation: 'relu',
        init: { kind: 'xavier' },
        ...(i === 0 ? { flattenedFrom: [resolution, resolution, channels] as const } : {}),
      });
      this.fcs.push(this.child(`fc${i + 1}`, fc));
      features = outFeatures;
    });
    this.outputSize = features;
  }

  static fromConfig(cfg: Config, inChannels: number): Module & RegionHead {
    const head = cfg.MODEL.ROI_BOX_HEAD;
    const own = boxHeads.get(head.NAME);
    if (own) return own(cfg, inChannels);
    if (head.NAME !== 'FastRCNNConvFCHead')
      throw new ConfigError(`MODEL.ROI_BOX_HEAD.NAME is ${head.NAME}; expected FastRCNNConvFCHead.`);
    if (head.NUM_FC < 1) throw new ConfigError('MODEL.ROI_BOX_HEAD.NUM_FC is 0; expected at least 1.');
    return new BoxHead({
      inChannels,
      resolution: head.POOLER_RESOLUTION,
      convDims: new Array<number>(head.NUM_CONV).fill(head.CONV_DIM),
      fcDims: new Array<number>(head.NUM_FC).fill(head.FC_DIM),
      norm: head.NORM,
    });
  }

  /** @param regions [R, r, r, C], R > 0 @returns [R, F] */
  forward(regions: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      const maps = this.convs.reduce((y, conv) => conv.forward(y), regions);
      const flat = tf.reshape(maps, [maps.shape[0], -1]) as tf.Tensor2D;
      return this.fcs.reduce((y, fc) => fc.forward(y), flat);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}
