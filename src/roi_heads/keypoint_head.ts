import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../config/index.js';
import { Conv2d } from '../layers/conv2d.js';
import { ConvTranspose4x4 } from '../layers/conv_transpose4x4.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import { upsampleBilinear } from '../layers/upsample_bilinear.js';
import { keypointHeads } from '../registry/registries.js';
import type { Trace } from '../rpn/rpn.js';

/** What turns pooled regions into heatmaps. */
export interface RegionKeypointHead {
  /** @param regions [R, r, r, C], R > 0 @param trace sees what lies between @returns logits [R, 4r, 4r, P] */
  forward(regions: tf.Tensor4D, trace?: Trace): tf.Tensor4D;
}

export interface KeypointHeadOptions {
  readonly inChannels: number;
  /** Widths of the 3x3 convolutions. */
  readonly convDims: readonly number[];
  readonly numKeypoints: number;
}

/**
 * Convolutions, a 4x4 deconvolution and a bilinear enlargement by 2 (He et al. 2017, section 5; Detectron2's `KRCNNConvDeconvUpsampleHead`): one
 * heatmap a keypoint.
 */
export class KeypointHead extends Module implements RegionKeypointHead {
  private readonly convs: Conv2d[] = [];
  private readonly scoreLowres: ConvTranspose4x4;

  constructor({ inChannels, convDims, numKeypoints }: KeypointHeadOptions) {
    super();
    let channels = inChannels;
    convDims.forEach((outChannels, i) => {
      const conv = new Conv2d({ inChannels: channels, outChannels, kernelSize: 3, padding: 1, activation: 'relu' });
      this.convs.push(this.child(`conv_fcn${i + 1}`, conv));
      channels = outChannels;
    });
    this.scoreLowres = this.child('score_lowres', new ConvTranspose4x4(channels, numKeypoints));
  }

  static fromConfig(cfg: Config, inChannels: number): Module & RegionKeypointHead {
    const { NAME, CONV_DIMS, NUM_KEYPOINTS } = cfg.MODEL.ROI_KEYPOINT_HEAD;
    const own = keypointHeads.get(NAME);
    if (own) return own(cfg, inChannels);
    return new KeypointHead({ inChannels, convDims: CONV_DIMS, numKeypoints: NUM_KEYPOINTS });
  }

  /** @param regions [R, r, r, C], R > 0 @returns logits [R, 4r, 4r, P] */
  forward(regions: tf.Tensor4D, trace?: Trace): tf.Tensor4D {
    return tf.tidy(() => {
      const lowres = this.scoreLowres.forward(this.convs.reduce((y, conv) => conv.forward(y), regions));
      trace?.('keypoint_lowres', lowres);
      return upsampleBilinear(lowres, 2);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}
