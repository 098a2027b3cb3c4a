import * as tf from '@tensorflow/tfjs-core';
import { Module, sameLayout, tensorOf } from './module.js';
import { single } from './norm.js';
import { ZEROS } from './weight_init.js';

/**
 * The 4x4 deconvolution of stride 2 and padding 1, linear: output pixel 2i + k - 1 takes input pixel i times tap k. Weight [4, 4, out, in]
 * (PyTorch: (in, out, 4, 4)).
 */
export class ConvTranspose4x4 extends Module {
  private readonly weight;
  private readonly bias;

  constructor(
    inChannels: number,
    private readonly outChannels: number,
  ) {
    super();
    const stored = [inChannels, outChannels, 4, 4];
    const layout = { ours: [4, 4, outChannels, inChannels], stored, view: stored, permutation: [2, 3, 1, 0] };
    this.weight = this.parameter('weight', 'weight', layout, { kind: 'msra' });
    this.bias = this.parameter('bias', 'bias', sameLayout([outChannels]), ZEROS);
  }

  /** @param x [R, H, W, in], R > 0 @returns [R, 2H, 2W, out] */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const [r, h, w] = x.shape;
      const weight = tensorOf<tf.Tensor4D>(this.weight);
      // TensorFlow's 'same' cuts one row and column at each side here, as PyTorch's padding of 1 does.
      const y = tf.conv2dTranspose(x, weight, [r, 2 * h, 2 * w, this.outChannels], 2, 'same') as tf.Tensor4D;
      return tf.add<tf.Tensor4D>(y, tensorOf<tf.Tensor1D>(this.bias));
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}
