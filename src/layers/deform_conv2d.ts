import * as tf from '@tensorflow/tfjs-core';
import { deformConv2d } from '../ops/deform_conv/deform_conv.js';
import { Conv2d, type Conv2dOptions } from './conv2d.js';

export interface DeformConv2dOptions extends Omit<Conv2dOptions, 'bias'> {
  /** Parts of the channels with offsets of their own. */
  readonly deformableGroups: number;
}

/**
 * Deformable convolution, norm and activation in one (Detectron2's `DeformConv` and, with a mask, `ModulatedDeformConv`), without a bias. The layer
 * that predicts the offsets is its caller's.
 */
export class DeformConv2d extends Conv2d {
  private readonly deformableGroups: number;

  constructor({ deformableGroups, ...options }: DeformConv2dOptions) {
    super({ ...options, bias: false });
    this.deformableGroups = deformableGroups;
  }

  /** Without offsets there is no deformable convolution; use {@link forwardDeformed}. */
  override forward(): tf.Tensor4D {
    throw new Error('DeformConv2d needs offsets; use forwardDeformed().');
  }

  /**
   * @param x      [N, H, W, in]
   * @param offset [N, H', W', deformableGroups * k * k * 2], (dy, dx) for each tap
   * @param mask   [N, H', W', deformableGroups * k * k] where modulated
   * @returns      [N, H', W', out]
   */
  forwardDeformed(x: tf.Tensor4D, offset: tf.Tensor4D, mask?: tf.Tensor4D): tf.Tensor4D {
    const { stride, padding, dilation, groups } = this.options;
    return tf.tidy(() => {
      const { kernel, bias } = this.currentWeights();
      const o = { stride, padding, dilation, groups, deformableGroups: this.deformableGroups };
      const y = deformConv2d({ x, offset, weight: kernel, mask, bias }, o);
      return this.normalise(y, undefined);
    });
  }
}
