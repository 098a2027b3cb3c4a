import * as tf from '@tensorflow/tfjs-core';
import { Conv2d } from '../layers/conv2d.js';
import { DeformConv2d } from '../layers/deform_conv2d.js';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import { ZEROS } from '../layers/weight_init.js';

export interface BlockOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: number;
  readonly norm: string;
}

export interface BottleneckOptions extends BlockOptions {
  readonly bottleneckChannels: number;
  readonly groups: number;
  /** The stride sits in the first 1x1 convolution (MSRA's models), else in the 3x3 (torchvision's, ResNeXt). */
  readonly strideIn1x1: boolean;
  readonly dilation: number;
}

/** A residual unit: `relu(shortcut(x) + branch(x))`; the shortcut is a 1x1 convolution where the width changes. */
export abstract class ResidualBlock extends Module {
  private readonly shortcut: Conv2d | undefined;

  constructor({ inChannels, outChannels, stride, norm }: BlockOptions) {
    super();
    if (inChannels !== outChannels)
      this.shortcut = this.child('shortcut', new Conv2d({ inChannels, outChannels, kernelSize: 1, stride, norm }));
  }

  /** The convolutions; the last one adds the shortcut and rectifies. */
  protected abstract branch(x: tf.Tensor4D, shortcut: tf.Tensor4D): tf.Tensor4D;

  /** @param x [N, H, W, in] @returns [N, H / stride, W / stride, out] */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.branch(x, this.shortcut ? this.shortcut.forward(x) : x));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

/** Two 3x3 convolutions (ResNet-18 and 34). */
export class BasicBlock extends ResidualBlock {
  private readonly conv1: Conv2d;
  private readonly conv2: Conv2d;

  constructor(options: BlockOptions) {
    super(options);
    const { inChannels, outChannels, stride, norm } = options;
    this.conv1 = this.child(
      'conv1',
      new Conv2d({ inChannels, outChannels, kernelSize: 3, stride, padding: 1, norm, activation: 'relu' }),
    );
    this.conv2 = this.child(
      'conv2',
      new Conv2d({ inChannels: outChannels, outChannels, kernelSize: 3, padding: 1, norm, activation: 'relu' }),
    );
  }

  protected branch(x: tf.Tensor4D, shortcut: tf.Tensor4D): tf.Tensor4D {
    return this.conv2.forward(this.conv1.forward(x), shortcut);
  }
}

/** 1x1, 3x3, 1x1 convolutions (ResNet-50 and deeper); the 3x3 is grouped in ResNeXt. */
export class BottleneckBlock extends ResidualBlock {
  private readonly conv1: Conv2d;
  private readonly conv2: Conv2d;
  private readonly conv3: Conv2d;

  constructor(options: BottleneckOptions) {
    super(options);
    const { inChannels, outChannels, bottleneckChannels: width, stride, norm, groups, dilation } = options;
    const [stride1, stride3] = options.strideIn1x1 ? [stride, 1] : [1, stride];
    this.conv1 = this.child(
      'conv1',
      new Conv2d({ inChannels, outChannels: width, kernelSize: 1, stride: stride1, norm, activation: 'relu' }),
    );
    this.conv2 = this.child(
      'conv2',
      new Conv2d({
        inChannels: width,
        outChannels: width,
        kernelSize: 3,
        stride: stride3,
        padding: dilation,
        dilation,
        groups,
        norm,
        activation: 'relu',
      }),
    );
    this.conv3 = this.child('conv3', new Conv2d({ inChannels: width, outChannels, kernelSize: 1, norm, activation: 'relu' }));
  }

  protected branch(x: tf.Tensor4D, shortcut: tf.Tensor4D): tf.Tensor4D {
    return this.conv3.forward(this.conv2.forward(this.conv1.forward(x)), shortcut);
  }
}

export interface DeformBottleneckOptions extends BottleneckOptions {
  /** With a weight for each sample (v2). */
  readonly modulated: boolean;
  /** Parts of the channels with offsets of their own. */
  readonly deformableGroups: number;
}

/** A bottleneck whose 3x3 convolution is deformable (Dai et al. 2017; Zhu et al. 2019); offsets come from a 3x3 convolution beside it. */
export class DeformBottleneckBlock extends ResidualBlock {
  private readonly conv1: Conv2d;
  private readonly offsets: Conv2d;
  private readonly conv2: DeformConv2d;
  private readonly conv3: Conv2d;

  constructor(private readonly options: DeformBottleneckOptions) {
    super(options);
    const { inChannels, outChannels, bottleneckChannels: width, stride, norm, groups, dilation, deformableGroups } = options;
    const [stride1, stride3] = options.strideIn1x1 ? [stride, 1] : [1, stride];
    this.conv1 = this.child(
      'conv1',
      new Conv2d({ inChannels, outChannels: width, kernelSize: 1, stride: stride1, norm, activation: 'relu' }),
    );
    const middle = { inChannels: width, kernelSize: 3, stride: stride3, padding: dilation, dilation };
    this.offsets = this.child(
      'conv2_offset',
      new Conv2d({ ...middle, outChannels: (options.modulated ? 27 : 18) * deformableGroups, init: ZEROS }),
    );
    this.conv2 = this.child(
      'conv2',
      new DeformConv2d({ ...middle, outChannels: width, groups, deformableGroups, norm, activation: 'relu' }),
    );
    this.conv3 = this.child('conv3', new Conv2d({ inChannels: width, outChannels, kernelSize: 1, norm, activation: 'relu' }));
  }

  protected branch(x: tf.Tensor4D, shortcut: tf.Tensor4D): tf.Tensor4D {
    const hidden = this.conv1.forward(x);
    const predicted = this.offsets.forward(hidden);
    if (!this.options.modulated) return this.conv3.forward(this.conv2.forwardDeformed(hidden, predicted), shortcut);
    // Two thirds are offsets, (dy, dx) for each tap in order; the rest are the samples' weights before the sigmoid.
    const taps = 9 * this.options.deformableGroups;
    const [offset, weight] = tf.split<tf.Tensor4D>(predicted, [2 * taps, taps], 3);
    return this.conv3.forward(this.conv2.forwardDeformed(hidden, offset, tf.sigmoid(weight)), shortcut);
  }
}
