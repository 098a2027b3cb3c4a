import * as tf from '@tensorflow/tfjs-core';
import { isRecording, withoutTape } from '../autodiff/tape.js';
import { ConfigError } from '../errors.js';
import { batchNormTraining, type SumsExchange } from './batch_norm_op.js';
import { groupNorm } from './group_norm_op.js';
import { Module, sameLayout, tensorOf } from './module.js';
import { ONES, ZEROS } from './weight_init.js';

const EPSILON = 1e-5;

/** How far the running statistics move with a batch, as in PyTorch. */
const MOMENTUM = 0.1;

/** A normalisation that is one scale and one shift per channel: it can be multiplied into the convolution before it. */
export interface FoldableNorm {
  /** @returns scale and shift, each [C]; the caller disposes of them. */
  scaleAndShift(): { scale: tf.Tensor1D; shift: tf.Tensor1D };
}

/** What both kinds of batch norm hold, under PyTorch's names, and the one scale and shift that it comes to by the running statistics. */
abstract class RunningNorm extends Module implements FoldableNorm {
  protected readonly weight;
  protected readonly bias;
  protected readonly runningMean;
  protected readonly runningVar;

  constructor(channels: number, affine: 'norm' | 'buffer', variance: number) {
    super();
    const layout = sameLayout([channels]);
    this.weight = this.parameter('weight', affine, layout, ONES);
    this.bias = this.parameter('bias', affine, layout, ZEROS);
    this.runningMean = this.parameter('running_mean', 'buffer', layout, ZEROS);
    this.runningVar = this.parameter('running_var', 'buffer', layout, { kind: 'constant', value: variance });
  }

  /** scale = weight / sqrt(var + eps), shift = bias - mean * scale. */
  scaleAndShift(): { scale: tf.Tensor1D; shift: tf.Tensor1D } {
    return tf.tidy(() => {
      const scale = tf.mul<tf.Tensor1D>(tensorOf(this.weight), tf.rsqrt(tf.add(tensorOf(this.runningVar), EPSILON)));
      return { scale, shift: tf.sub<tf.Tensor1D>(tensorOf(this.bias), tf.mul(tensorOf(this.runningMean), scale)) };
    });
  }

  abstract forward(x: tf.Tensor4D): tf.Tensor4D;

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }

  override fold(): void {
    this.disposeOwnWeights();
  }
}

/**
 * Batch norm with fixed statistics and fixed affine weights (Detectron2's `FrozenBatchNorm2d`, eps 1e-5): y = x * scale + shift with
 * scale = weight / sqrt(var + eps). Never applied to activations here; the convolution folds it.
 */
export class FrozenBatchNorm extends RunningNorm {
  constructor(channels: number) {
    super(channels, 'buffer', 1 - EPSILON);
  }

  /** @param x [N, H, W, C] */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const { scale, shift } = this.scaleAndShift();
      return tf.add<tf.Tensor4D>(tf.mul(x, scale), shift);
    });
  }
}

/** What a batch was normalised by. */
export interface BatchStatistics {
  /** [C] */
  readonly mean: tf.Tensor1D;
  /** [C], with Bessel's correction. */
  readonly variance: tf.Tensor1D;
  /** Over how many pixels. */
  readonly pixels: number;
}

/**
 * Batch norm that trains (Detectron2's `BN` and `SyncBN`): by the statistics of the batch while gradients are recorded, which also move the running
 * ones (momentum 0.1), else, and where frozen, by the running ones, which the convolution folds.
 */
export class BatchNorm extends RunningNorm {
  /** Takes the statistics of every batch in the place of the running ones, while it is there; they are disposed of after it. */
  collect: ((statistics: BatchStatistics) => void) | undefined;
  private exchange: SumsExchange | undefined;

  /** @param synchronised takes the statistics of all processes' pictures, once `synchronise` says how */
  constructor(
    channels: number,
    private readonly synchronised = false,
  ) {
    super(channels, 'norm', 1);
  }

  /** Makes the statistics of a norm of kind `SyncBN` those of all processes; another one stays as it is. */
  synchronise(exchange: SumsExchange): void {
    if (this.synchronised) this.exchange = exchange;
  }

  /** Whether the statistics are those of the batch now. */
  get isTraining(): boolean {
    return !this.isFrozen && isRecording();
  }

  /**
   * By the statistics of the batch.
   * @param x        [N, H, W, C]
   * @param residual the same shape, added before the activation
   */
  forward(x: tf.Tensor4D, residual?: tf.Tensor4D, activation: 'linear' | 'relu' = 'linear'): tf.Tensor4D {
    return tf.tidy(() => {
      const [weight, bias] = [tensorOf<tf.Tensor1D>(this.weight), tensorOf<tf.Tensor1D>(this.bias)];
      const { y, mean, variance } = batchNormTraining(x, weight, bias, EPSILON, residual, activation, this.exchange);
      withoutTape(() => {
        if (this.collect) return this.collect({ mean, variance, pixels: x.size / x.shape[3] });
        for (const [running, now] of [
          [this.runningMean, mean],
          [this.runningVar, variance],
        ] as const) {
          const variable = tensorOf(running) as tf.Variable;
          variable.assign(tf.add(tf.mul(variable, 1 - MOMENTUM), tf.mul(now, MOMENTUM)));
        }
      });
      return y;
    });
  }

  /** Puts other statistics, each [C], in the place of the running ones. */
  setStatistics(mean: tf.Tensor, variance: tf.Tensor): void {
    (tensorOf(this.runningMean) as tf.Variable).assign(mean as tf.Tensor<tf.Rank>);
    (tensorOf(this.runningVar) as tf.Variable).assign(variance as tf.Tensor<tf.Rank>);
  }
}

/** Group normalisation (Wu and He 2018), 32 groups, eps 1e-5, statistics per image and group of adjacent channels. */
export class GroupNorm extends Module {
  private readonly weight;
  private readonly bias;

  constructor(
    channels: number,
    private readonly groups = 32,
  ) {
    super();
    if (channels % groups !== 0)
      throw new ConfigError(
        `GroupNorm needs a multiple of ${groups} channels, got ${channels}. Use widths that are multiples of ${groups}.`,
      );
    const layout = sameLayout([channels]);
    this.weight = this.parameter('weight', 'norm', layout, ONES);
    this.bias = this.parameter('bias', 'norm', layout, ZEROS);
  }

  /** @param x [N, H, W, C] @returns the same shape */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return groupNorm(x, tensorOf<tf.Tensor1D>(this.weight), tensorOf<tf.Tensor1D>(this.bias), this.groups, EPSILON);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

/** A norm of a convolution. */
export type Norm = FrozenBatchNorm | BatchNorm | GroupNorm;

/** Whether the norm is in the weights at the moment, instead of working on activations. */
export function isFolded(norm: Norm | undefined): norm is FrozenBatchNorm | BatchNorm {
  return norm instanceof FrozenBatchNorm || (norm instanceof BatchNorm && !norm.isTraining);
}

/** The norm of that name in the config, or none for the empty name. */
export function makeNorm(name: string, channels: number): Norm | undefined {
  switch (name) {
    case '':
      return undefined;
    case 'FrozenBN':
      return new FrozenBatchNorm(channels);
    case 'BN':
      return new BatchNorm(channels);
    case 'SyncBN':
      return new BatchNorm(channels, true);
    case 'GN':
      return new GroupNorm(channels);
    default:
      throw new ConfigError(`The norm '${name}' is not supported; expected '', FrozenBN, BN, SyncBN or GN.`);
  }
}

/** The one input of a layer that takes one. */
export function single(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
  return (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D;
}
