import * as tf from '@tensorflow/tfjs-core';
import { Conv2d } from '../layers/conv2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';

export interface RetinaNetHeadOptions {
  readonly inChannels: number;
  readonly numClasses: number;
  readonly anchorsPerLocation: number;
  /** 3x3 convolutions of each tower. */
  readonly numConvs: number;
  /** The score that the classifier starts with. */
  readonly priorProbability: number;
}

/** Convolutions with ReLUs between them, numbered as PyTorch numbers a sequence of both: 0, 2, 4, ... */
class Tower extends Module {
  private readonly convs: readonly Conv2d[];

  constructor(channels: number, numConvs: number, init: { readonly kind: 'normal'; readonly std: number }) {
    super();
    const options = { inChannels: channels, outChannels: channels, kernelSize: 3, padding: 1, activation: 'relu', init } as const;
    this.convs = Array.from({ length: numConvs }, (_, i) => this.child(String(2 * i), new Conv2d(options)));
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.convs.reduce((y, conv) => conv.forward(y), x));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

/** Two towers shared by all levels: class logits and box deltas per anchor (Lin et al. 2017b, figure 3). */
export class RetinaNetHead extends Module {
  private readonly clsSubnet: Tower;
  private readonly bboxSubnet: Tower;
  private readonly clsScore: Conv2d;
  private readonly bboxPred: Conv2d;

  constructor(options: RetinaNetHeadOptions) {
    super();
    const { inChannels, numClasses, anchorsPerLocation, numConvs, priorProbability } = options;
    const init = { kind: 'normal', std: 0.01 } as const;
    const biasInit = -Math.log((1 - priorProbability) / priorProbability);
    const predictor = { inChannels, kernelSize: 3, padding: 1, init } as const;
    this.clsSubnet = this.child('cls_subnet', new Tower(inChannels, numConvs, init));
    this.bboxSubnet = this.child('bbox_subnet', new Tower(inChannels, numConvs, init));
    this.clsScore = this.child('cls_score', new Conv2d({ ...predictor, outChannels: anchorsPerLocation * numClasses, biasInit }));
    this.bboxPred = this.child('bbox_pred', new Conv2d({ ...predictor, outChannels: anchorsPerLocation * 4 }));
  }

  /** @param x one level [N, H, W, C] @returns logits [N, H, W, A * K] (classes fastest) and deltas [N, H, W, A * 4] */
  forward(x: tf.Tensor4D): { logits: tf.Tensor4D; deltas: tf.Tensor4D } {
    return tf.tidy(() => ({
      logits: this.clsScore.forward(this.clsSubnet.forward(x)),
      deltas: this.bboxPred.forward(this.bboxSubnet.forward(x)),
    }));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    const { logits, deltas } = this.forward(single(inputs));
    return [logits, deltas];
  }
}
