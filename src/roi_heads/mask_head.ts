import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Conv2d } from '../layers/conv2d.js';
import { ConvTranspose2x2, shuffle2x2 } from '../layers/conv_transpose2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import { maskHeads } from '../registry/registries.js';

/** What turns pooled regions into masks. */
export interface RegionMaskHead {
  /** @param regions [R, r, r, C], R > 0 @returns logits [R, 2r, 2r, K], or [R, 2r, 2r, 1] of no class */
  forward(regions: tf.Tensor4D): tf.Tensor4D;
}

export interface MaskHeadOptions {
  readonly inChannels: number;
  /** Widths of the 3x3 convolutions. */
  readonly convDims: readonly number[];
  /** Width of the deconvolution. */
  readonly deconvDim: number;
  /** Masks per region: the classes, or 1 when class-agnostic. */
  readonly numMasks: number;
  readonly norm: string;
}

/** Convolutions, a 2x2 deconvolution and a 1x1 predictor (He et al. 2017, figure 4; Detectron2's `MaskRCNNConvUpsampleHead`). */
export class MaskHead extends Module implements RegionMaskHead {
  private readonly convs: Conv2d[] = [];
  private readonly deconv: ConvTranspose2x2;
  private readonly predictor: Conv2d;

  constructor(readonly options: MaskHeadOptions) {
    super();
    let channels = options.inChannels;
    options.convDims.forEach((outChannels, i) => {
      const conv = new Conv2d({
        inChannels: channels,
        outChannels,
        kernelSize: 3,
        padding: 1,
        norm: options.norm,
        activation: 'relu',
      });
      this.convs.push(this.child(`mask_fcn${i + 1}`, conv));
      channels = outChannels;
    });
    this.deconv = this.child('deconv', new ConvTranspose2x2(channels, options.deconvDim));
    const init = { kind: 'normal', std: 0.001 } as const;
    this.predictor = this.child(
      'predictor',
      new Conv2d({ inChannels: options.deconvDim, outChannels: options.numMasks, kernelSize: 1, init }),
    );
  }

  static fromConfig(cfg: Config, inChannels: number): Module & RegionMaskHead {
    const head = cfg.MODEL.ROI_MASK_HEAD;
    const own = maskHeads.get(head.NAME);
    if (own) return own(cfg, inChannels);
    if (head.NAME !== 'MaskRCNNConvUpsampleHead')
      throw new ConfigError(`MODEL.ROI_MASK_HEAD.NAME is ${head.NAME}; expected MaskRCNNConvUpsampleHead.`);
    return new MaskHead({
      inChannels,
      convDims: new Array<number>(head.NUM_CONV).fill(head.CONV_DIM),
      deconvDim: head.CONV_DIM,
      numMasks: head.CLS_AGNOSTIC_MASK ? 1 : cfg.MODEL.ROI_HEADS.NUM_CLASSES,
      norm: head.NORM,
    });
  }

  /** @param regions [R, r, r, C], R > 0 @returns logits [R, 2r, 2r, K] */
  forward(regions: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const hidden = this.convs.reduce((y, conv) => conv.forward(y), regions);
      // The predictor looks at single pixels, so it may run before they are moved to their places: only K channels move then.
      const [r, h, w] = hidden.shape;
      const pixels = tf.reshape(this.deconv.forwardUnshuffled(hidden), [r, h, w * 4, -1]) as tf.Tensor4D;
      const logits = this.predictor.forward(pixels);
      return shuffle2x2(tf.reshape(logits, [r, h, w, 4, this.options.numMasks]));
    });
  }

  /**
   * Probabilities of the predicted class alone (Detectron2's `mask_rcnn_inference`).
   * @param logits  [R, M, M, K]
   * @param classes [R]; ignored when class-agnostic
   * @returns       [R, M, M]
   */
  static probabilities(logits: tf.Tensor4D, classes: Int32Array): tf.Tensor3D {
    return tf.tidy(() => {
      const [r, h, w, k] = logits.shape;
      if (k === 1) return tf.sigmoid(tf.reshape(logits, [r, h, w]));
      const chosen = tf.cast(tf.oneHot(tf.tensor1d(classes, 'int32'), k), 'float32');
      return tf.sigmoid(tf.reshape(tf.matMul(tf.reshape(logits, [r, h * w, k]), tf.reshape(chosen, [r, k, 1])), [r, h, w]));
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}
