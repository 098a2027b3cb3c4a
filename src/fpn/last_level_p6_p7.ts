import * as tf from '@tensorflow/tfjs-core';
import { Conv2d } from '../layers/conv2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';

/** RetinaNet's coarsest levels (Lin et al. 2017b, section 4): p6 is a 3x3 convolution of stride 2 on res5, p7 another one on relu(p6). */
export class LastLevelP6P7 extends Module {
  private readonly p6: Conv2d;
  private readonly p7: Conv2d;

  constructor(inChannels: number, outChannels: number) {
    super();
    const common = { outChannels, kernelSize: 3, stride: 2, padding: 1, init: { kind: 'xavier' } } as const;
    this.p6 = this.child('p6', new Conv2d({ inChannels, ...common }));
    this.p7 = this.child('p7', new Conv2d({ inChannels: outChannels, ...common }));
  }

  /** @param res5 [N, H, W, C] @returns p6 [N, H/2, W/2, C'] and p7 [N, H/4, W/4, C'] */
  forward(res5: tf.Tensor4D): [tf.Tensor4D, tf.Tensor4D] {
    return tf.tidy(() => {
      const p6 = this.p6.forward(res5);
      return [p6, this.p7.forward(tf.relu(p6))];
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    return this.forward(single(inputs));
  }
}
