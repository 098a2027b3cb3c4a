import * as tf from '@tensorflow/tfjs-core';
import { dilatedConv2d } from './dilated_conv2d.js';
import { fusedConv2d, plainConv2d } from './fused_kernels.js';
import { BlockKernels, groupedConv2d } from './grouped_conv2d.js';
import { Module, sameLayout, tensorOf } from './module.js';
import { BatchNorm, GroupNorm, isFolded, makeNorm, type Norm, single } from './norm.js';
import type { WeightInit } from './weight_init.js';

export interface Conv2dOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: number;
  readonly stride?: number;
  /** Zeros on each side, in pixels; explicit and symmetric as in PyTorch. */
  readonly padding?: number;
  readonly dilation?: number;
  readonly groups?: number;
  /** A bias exists by default only without a norm, as in Detectron2. */
  readonly bias?: boolean;
  readonly norm?: string;
  readonly activation?: 'relu';
  /** How the weight is filled before training; He's initialisation unless said otherwise. */
  readonly init?: WeightInit;
  /** What the bias starts with; 0 unless said otherwise. */
  readonly biasInit?: number;
}

/** The kernel and bias that are really applied, with a frozen norm multiplied in. */
export interface EffectiveWeights {
  readonly kernel: tf.Tensor4D;
  readonly bias: tf.Tensor1D | undefined;
}

/** Convolution, norm and activation in one (Detectron2's `Conv2d`). Kernel [kh, kw, in / groups, out]. */
export class Conv2d extends Module {
  protected readonly options: Required<Omit<Conv2dOptions, 'activation' | 'init' | 'biasInit'>> &
    Pick<Conv2dOptions, 'activation'>;
  private readonly weight;
  private readonly biasWeight;
  private readonly norm: Norm | undefined;
  private folded: EffectiveWeights | undefined;
  private blocks: BlockKernels | undefined;

  constructor(options: Conv2dOptions) {
    super();
    const norm = options.norm ?? '';
    this.options = { stride: 1, padding: 0, dilation: 1, groups: 1, bias: norm === '', ...options, norm };
    const { kernelSize: k, inChannels, outChannels, groups } = this.options;
    const perGroup = inChannels / groups;
    const biasInit = { kind: 'constant', value: options.biasInit ?? 0 } as const;
    const layout = {
      ours: [k, k, perGroup, outChannels],
      stored: [outChannels, perGroup, k, k],
      view: [outChannels, perGroup, k, k],
      permutation: [2, 3, 1, 0],
    };
    this.weight = this.parameter('weight', 'weight', layout, options.init ?? { kind: 'msra' });
    this.biasWeight = this.options.bias ? this.parameter('bias', 'bias', sameLayout([outChannels]), biasInit) : undefined;
    const made = makeNorm(norm, outChannels);
    this.norm = made && this.child('norm', made);
  }

  /**
   * @param x        [N, H, W, in]
   * @param residual [N, H', W', out], added before the activation
   * @returns [N, H', W', out]
   */
  forward(x: tf.Tensor4D, residual?: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const { kernel, bias } = this.currentWeights();
      if (!this.worksOnActivations) return this.convolve(x, kernel, bias, residual);
      return this.normalise(this.convolve(x, kernel, bias, undefined, 'linear'), residual);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }

  override fold(): void {
    if (this.folded) return;
    const { kernel, bias } = tf.tidy(() => {
      const { kernel, bias } = this.effectiveWeights();
      return { kernel: tf.keep(tf.clone(kernel)), bias: bias && tf.keep(tf.clone(bias)) };
    });
    this.folded = { kernel, bias };
    if (this.options.groups > 1) this.blocks = new BlockKernels(kernel, this.options.groups);
    this.disposeOwnWeights();
    if (isFolded(this.norm)) super.fold();
  }

  override dispose(): { refCountAfterDispose: number; numDisposedVariables: number } {
    this.folded?.kernel.dispose();
    this.folded?.bias?.dispose();
    this.folded = undefined;
    this.blocks?.dispose();
    this.blocks = undefined;
    return super.dispose();
  }

  /** Whether there is a norm that is not in the weights at the moment. */
  private get worksOnActivations(): boolean {
    return this.norm !== undefined && !isFolded(this.norm);
  }

  /** What follows the sums of a convolution: the norm, unless it is in the weights, an addend, the activation. */
  protected normalise(y: tf.Tensor4D, residual: tf.Tensor4D | undefined): tf.Tensor4D {
    if (this.norm instanceof BatchNorm && this.worksOnActivations)
      return this.norm.forward(y, residual, this.options.activation ?? 'linear');
    return this.finish(this.norm instanceof GroupNorm ? this.norm.forward(y) : y, residual);
  }

  /** What to apply: with the frozen norm multiplied in, once where the module was folded. */
  protected currentWeights(): EffectiveWeights {
    return this.folded ?? this.effectiveWeights();
  }

  private effectiveWeights(): EffectiveWeights {
    const kernel = tensorOf<tf.Tensor4D>(this.weight);
    const bias = this.biasWeight && tensorOf<tf.Tensor1D>(this.biasWeight);
    if (!isFolded(this.norm)) return { kernel, bias };
    const { scale, shift } = this.norm.scaleAndShift();
    return { kernel: tf.mul(kernel, scale), bias: bias ? tf.add<tf.Tensor1D>(tf.mul(bias, scale), shift) : shift };
  }

  private convolve(
    x: tf.Tensor4D,
    kernel: tf.Tensor4D,
    bias: tf.Tensor1D | undefined,
    residual: tf.Tensor4D | undefined,
    activation: 'relu' | 'linear' = this.options.activation ?? 'linear',
  ): tf.Tensor4D {
    const { stride, padding, dilation, groups, kernelSize } = this.options;
    // TensorFlow.js has neither the gradient of a dilated convolution nor dilated groups.
    if (dilation > 1 && (groups > 1 || tf.engine().state.gradientDepth > 0)) {
      const convolve = (input: tf.Tensor4D): tf.Tensor4D => {
        if (groups > 1) return groupedConv2d(input, kernel, groups, 1, 'valid', this.blocks);
        return plainConv2d(input, kernel, { stride: 1, padding: 0, dilation: 1 }) ?? tf.conv2d(input, kernel, 1, 'valid');
      };
      const y = dilatedConv2d(x, { kernelSize, stride, padding, dilation }, convolve);
      return this.finish(bias ? tf.add<tf.Tensor4D>(y, bias) : y, residual, activation);
    }
    if (groups === 1) {
      const geometry = { stride, padding, dilation };
      const y = bias ? fusedConv2d(x, kernel, bias, residual, geometry, activation) : plainConv2d(x, kernel, geometry);
      if (y) return bias ? y : this.finish(y, residual, activation);
    }
    // 'same' equals symmetric padding only at stride 1; elsewhere TensorFlow pads one-sidedly, so the zeros are explicit.
    const same = padding > 0 && stride === 1 && 2 * padding === dilation * (kernelSize - 1);
    const border: [number, number] = [padding, padding];
    const input = padding > 0 && !same ? tf.pad(x, [[0, 0], border, border, [0, 0]]) : x;
    const pad = same ? 'same' : 'valid';
    if (groups > 1) {
      const y = groupedConv2d(input, kernel, groups, stride, pad, this.blocks);
      return this.finish(bias ? tf.add<tf.Tensor4D>(y, bias) : y, residual, activation);
    }
    const y = tf.fused.conv2d({
      x: input,
      filter: kernel,
      strides: stride,
      pad,
      dilations: dilation,
      ...(bias ? { bias } : {}),
      activation: residual ? 'linear' : activation,
    });
    return residual ? this.finish(y, residual, activation) : y;
  }

  /** What follows a convolution that adds and rectifies nothing itself. */
  private finish(
    y: tf.Tensor4D,
    residual: tf.Tensor4D | undefined,
    activation: 'relu' | 'linear' = this.options.activation ?? 'linear',
  ): tf.Tensor4D {
    const sum = residual ? tf.add<tf.Tensor4D>(y, residual) : y;
    return activation === 'relu' ? tf.relu(sum) : sum;
  }
}
