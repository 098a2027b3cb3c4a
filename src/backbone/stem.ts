import * as tf from '@tensorflow/tfjs-core';
import { Conv2d } from '../layers/conv2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';

/** The first layers of a ResNet (He et al. 2015, table 1): 7x7 convolution of stride 2, norm, ReLU, 3x3 max-pool of stride 2. */
export class BasicStem extends Module {
  private readonly conv1: Conv2d;

  /** @param options.poolPadding of the max-pool: a pixel on each side, or at the end only (TensorFlow's 'same' for even sides) */
  constructor(private readonly options: { outChannels: number; norm: string; poolPadding?: 'both' | 'end' }) {
    super();
    this.conv1 = this.child(
      'conv1',
      new Conv2d({
        inChannels: 3,
        outChannels: options.outChannels,
        kernelSize: 7,
        stride: 2,
        padding: 3,
        norm: options.norm,
        activation: 'relu',
      }),
    );
  }

  /** @param x [N, H, W, 3] @returns [N, H/4, W/4, C] */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const y = this.conv1.forward(x);
      // After the ReLU nothing is negative, so zeros pad as minus infinity would.
      const start = this.options.poolPadding === 'end' ? 0 : 1;
      const padded = tf.pad(y, [[0, 0], [start, 1], [start, 1], [0, 0]]); // prettier-ignore
      return tf.maxPool(padded, 3, 2, 'valid');
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}
