import * as tf from '@tensorflow/tfjs-core';
import { Conv2d } from '../layers/conv2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';

export interface RegNetBlockOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: number;
  /** Channels a group in the 3x3 convolution. */
  readonly groupWidth: number;
  /** Channels inside the squeeze-and-excitation as a share of the input's; 0 for none. */
  readonly seRatio: number;
  readonly norm: string;
}

/** Squeeze and excitation (Hu et al. 2018): every channel is weighed by what the picture's means of all say. */
class SqueezeExcitation extends Module {
  private readonly squeeze: Conv2d;
  private readonly excite: Conv2d;

  constructor(channels: number, hidden: number) {
    super();
    this.squeeze = this.child(
      'f_ex.0',
      new Conv2d({ inChannels: channels, outChannels: hidden, kernelSize: 1, activation: 'relu' }),
    );
    this.excite = this.child('f_ex.2', new Conv2d({ inChannels: hidden, outChannels: channels, kernelSize: 1 }));
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const means = tf.mean<tf.Tensor4D>(x, [1, 2], true);
      return tf.mul<tf.Tensor4D>(x, tf.sigmoid(this.excite.forward(this.squeeze.forward(means))));
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

/** 1x1, 3x3 in groups, perhaps squeeze and excitation, 1x1: what a block adds to its input. */
class Transform extends Module {
  private readonly a: Conv2d;
  private readonly b: Conv2d;
  private readonly se: SqueezeExcitation | undefined;
  private readonly c: Conv2d;

  constructor({ inChannels, outChannels, stride, groupWidth, seRatio, norm }: RegNetBlockOptions) {
    super();
    const relu = { norm, activation: 'relu' } as const;
    const inner = { inChannels: outChannels, outChannels };
    const groups = Math.floor(outChannels / groupWidth);
    const hidden = Math.round(inChannels * seRatio);
    this.a = this.child('a', new Conv2d({ inChannels, outChannels, kernelSize: 1, ...relu }));
    this.b = this.child('b', new Conv2d({ ...inner, kernelSize: 3, stride, padding: 1, groups, ...relu }));
    this.se = hidden > 0 ? this.child('se', new SqueezeExcitation(outChannels, hidden)) : undefined;
    // With the rectifier that follows the sum.
    this.c = this.child('c', new Conv2d({ ...inner, kernelSize: 1, ...relu }));
  }

  forward(x: tf.Tensor4D, shortcut: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const y = this.b.forward(this.a.forward(x));
      return this.c.forward(this.se ? this.se.forward(y) : y, shortcut);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [x, shortcut] = inputs as [tf.Tensor4D, tf.Tensor4D];
    return this.forward(x, shortcut);
  }
}

/** The residual block of a RegNet (Detectron2's `ResBottleneckBlock` with a bottleneck ratio of 1). */
export class RegNetBlock extends Module {
  private readonly proj: Conv2d | undefined;
  private readonly transform: Transform;

  constructor(options: RegNetBlockOptions) {
    super();
    const { inChannels, outChannels, stride, norm } = options;
    this.proj =
      inChannels !== outChannels || stride !== 1
        ? this.child('proj', new Conv2d({ inChannels, outChannels, kernelSize: 1, stride, norm }))
        : undefined;
    this.transform = this.child('f', new Transform(options));
  }

  /** @param x [N, H, W, in] @returns [N, H / stride, W / stride, out] */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.transform.forward(x, this.proj ? this.proj.forward(x) : x));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}
