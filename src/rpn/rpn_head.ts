import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Conv2d } from '../layers/conv2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import { rpnHeads } from '../registry/registries.js';

export interface RpnHeadOptions {
  readonly inChannels: number;
  readonly anchorsPerLocation: number;
  /** Widths of the 3x3 convolutions; -1 keeps the input's. */
  readonly convDims: readonly number[];
}

/** What turns one level of the features into scores and deltas of its anchors. */
export interface AnchorHead {
  /** @param x one level [N, H, W, C] @returns logits [N, H, W, A] and deltas [N, H, W, 4A], channel a * 4 + (dx, dy, dw, dh) */
  forward(x: tf.Tensor4D): { logits: tf.Tensor4D; deltas: tf.Tensor4D };
}

/** Several convolutions of a head, named conv0, conv1, ... as Detectron2 does. */
class ConvSequence extends Module {
  constructor(private readonly convs: readonly Conv2d[]) {
    super();
    convs.forEach((conv, i) => this.child(`conv${i}`, conv));
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.convs.reduce((y, conv) => conv.forward(y), x));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

/** The head of a region proposal network (Ren et al. 2015): a 3x3 convolution, then objectness and deltas by 1x1 convolutions, shared by all levels. */
export class RpnHead extends Module implements AnchorHead {
  private readonly conv: Conv2d | ConvSequence;
  private readonly objectnessLogits: Conv2d;
  private readonly anchorDeltas: Conv2d;

  constructor({ inChannels, anchorsPerLocation, convDims }: RpnHeadOptions) {
    super();
    const init = { kind: 'normal', std: 0.01 } as const;
    let channels = inChannels;
    const convs = convDims.map((dim) => {
      const outChannels = dim === -1 ? channels : dim;
      const conv = new Conv2d({ inChannels: channels, outChannels, kernelSize: 3, padding: 1, activation: 'relu', init });
      channels = outChannels;
      return conv;
    });
    this.conv = this.child('conv', convs.length === 1 ? convs[0] : new ConvSequence(convs));
    this.objectnessLogits = this.child(
      'objectness_logits',
      new Conv2d({ inChannels: channels, outChannels: anchorsPerLocation, kernelSize: 1, init }),
    );
    this.anchorDeltas = this.child(
      'anchor_deltas',
      new Conv2d({ inChannels: channels, outChannels: 4 * anchorsPerLocation, kernelSize: 1, init }),
    );
  }

  static fromConfig(cfg: Config, inChannels: number, anchorsPerLocation: number): Module & AnchorHead {
    const { HEAD_NAME, CONV_DIMS } = cfg.MODEL.RPN;
    const own = rpnHeads.get(HEAD_NAME);
    if (own) return own(cfg, inChannels, anchorsPerLocation);
    if (HEAD_NAME !== 'StandardRPNHead') throw new ConfigError(`MODEL.RPN.HEAD_NAME is ${HEAD_NAME}; expected StandardRPNHead.`);
    return new RpnHead({ inChannels, anchorsPerLocation, convDims: CONV_DIMS });
  }

  /** @param x one level [N, H, W, C] @returns logits [N, H, W, A] and deltas [N, H, W, 4A], channel a * 4 + (dx, dy, dw, dh) */
  forward(x: tf.Tensor4D): { logits: tf.Tensor4D; deltas: tf.Tensor4D } {
    return tf.tidy(() => {
      const hidden = this.conv.forward(x);
      return { logits: this.objectnessLogits.forward(hidden), deltas: this.anchorDeltas.forward(hidden) };
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    const { logits, deltas } = this.forward(single(inputs));
    return [logits, deltas];
  }
}
