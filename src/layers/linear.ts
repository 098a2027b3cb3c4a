import * as tf from '@tensorflow/tfjs-core';
import { fusedMatMul } from './fused_kernels.js';
import { Module, sameLayout, tensorOf } from './module.js';
import { type WeightInit, ZEROS } from './weight_init.js';

export interface LinearOptions {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly activation?: 'relu';
  /** When the input is a flattened map: its [H, W, C]. PyTorch flattens C, H, W, so the rows are permuted at loading. */
  readonly flattenedFrom?: readonly [height: number, width: number, channels: number];
  /** How the weight is filled before training; He's initialisation unless said otherwise. */
  readonly init?: WeightInit;
}

/** A fully connected layer. Weight [in, out] (Detectron2: (out, in)). */
export class Linear extends Module {
  private readonly weight;
  private readonly bias;

  constructor(private readonly options: LinearOptions) {
    super();
    const { inFeatures, outFeatures, flattenedFrom } = options;
    const [h, w, c] = flattenedFrom ?? [1, 1, inFeatures];
    this.weight = this.parameter(
      'weight',
      'weight',
      {
        ours: [inFeatures, outFeatures],
        stored: [outFeatures, inFeatures],
        view: [outFeatures, c, h, w],
        permutation: [2, 3, 1, 0],
      },
      options.init ?? { kind: 'msra' },
    );
    this.bias = this.parameter('bias', 'bias', sameLayout([outFeatures]), ZEROS);
  }

  /** @param x [R, in] @returns [R, out] */
  forward(x: tf.Tensor2D): tf.Tensor2D {
    const weight = tensorOf<tf.Tensor2D>(this.weight);
    const bias = tensorOf<tf.Tensor1D>(this.bias);
    const activation = this.options.activation ?? 'linear';
    return fusedMatMul(x, weight, bias, activation) ?? (tf.fused.matMul({ a: x, b: weight, bias, activation }) as tf.Tensor2D);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor2D);
  }
}
