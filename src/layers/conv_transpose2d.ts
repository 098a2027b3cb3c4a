import * as tf from '@tensorflow/tfjs-core';
import { fusedMatMul } from './fused_kernels.js';
import { Module, sameLayout, tensorOf } from './module.js';
import { single } from './norm.js';
import { type WeightInit, ZEROS } from './weight_init.js';

/**
 * The 2x2 deconvolution of stride 2. Windows do not overlap, so it is one matrix product per pixel followed by a shuffle: fast and with a gradient
 * on every backend. Weight [in, 2, 2, out] (PyTorch: (in, out, 2, 2)).
 */
export class ConvTranspose2x2 extends Module {
  private readonly weight;
  private readonly bias;

  constructor(
    private readonly inChannels: number,
    private readonly outChannels: number,
    init: WeightInit = { kind: 'msra' },
  ) {
    super();
    this.weight = this.parameter(
      'weight',
      'weight',
      {
        ours: [inChannels, 2, 2, outChannels],
        stored: [inChannels, outChannels, 2, 2],
        view: [inChannels, outChannels, 2, 2],
        permutation: [0, 2, 3, 1],
      },
      init,
    );
    this.bias = this.parameter('bias', 'bias', sameLayout([outChannels]), ZEROS);
  }

  /**
   * The four output pixels of every input pixel side by side, after ReLU: what a 1x1 convolution may work on before the shuffle.
   * @param x [R, H, W, in] @returns [R, H, W, 4, out]
   */
  forwardUnshuffled(x: tf.Tensor4D): tf.Tensor5D {
    return tf.tidy(() => {
      const [r, h, w] = x.shape;
      const flat = tf.reshape(x, [r * h * w, this.inChannels]) as tf.Tensor2D;
      const weight = tf.reshape(tensorOf(this.weight), [this.inChannels, 4 * this.outChannels]) as tf.Tensor2D;
      const bias = tensorOf<tf.Tensor1D>(this.bias);
      const fused = fusedMatMul(flat, weight, tf.tile(bias, [4]), 'relu');
      if (fused) return tf.reshape(fused, [r, h, w, 4, this.outChannels]);
      // As rows of pixels: webgpu's addition of a vector to rank 5 does not compile.
      const pixels = tf.relu(tf.add(tf.reshape(tf.matMul(flat, weight), [r * h * w * 4, this.outChannels]), bias));
      return tf.reshape(pixels, [r, h, w, 4, this.outChannels]);
    });
  }

  /** @param x [R, H, W, in] @returns [R, 2H, 2W, out] after ReLU */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => shuffle2x2(this.forwardUnshuffled(x)));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

/** Puts the four pixels of [R, H, W, 4, C] in their places. @returns [R, 2H, 2W, C] */
export function shuffle2x2(x: tf.Tensor5D): tf.Tensor4D {
  return tf.tidy(() => {
    const [r, h, w, , c] = x.shape;
    const split = tf.reshape(x, [r, h, w, 2, 2, c]);
    return tf.reshape(tf.transpose(split, [0, 1, 3, 2, 4, 5]), [r, 2 * h, 2 * w, c]);
  });
}
