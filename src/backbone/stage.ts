import * as tf from '@tensorflow/tfjs-core';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';
import type { ResidualBlock } from './blocks.js';

/** Residual blocks one after another; its children are named 0, 1, 2, ... */
export class Stage extends Module {
  constructor(private readonly blocks: readonly ResidualBlock[]) {
    super();
    blocks.forEach((block, i) => this.child(String(i), block));
  }

  /** @param x [N, H, W, in] @returns [N, H / stride, W / stride, out] */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.blocks.reduce((y, block) => block.forward(y), x));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}
