import type * as tf from '@tensorflow/tfjs-core';
import type { ModelParameter } from '../layers/module.js';
import type { Permutations } from '../rpn/subsample_labels.js';
import type { TrainingSample } from '../structures/training_sample.js';

/** Sees host values of a training step by name: labels, sampled regions. */
export type HostTrace = (name: string, values: Float32Array | Int32Array | Int8Array, shape: readonly number[]) => void;

/** What a model needs to compute its losses. */
export interface TrainingPass {
  /** Runs a synchronous part of the forward pass; a tape records what happens in it. */
  record<T>(part: () => T): T;
  /** The order in which anchors and proposals are drawn. */
  readonly order: Permutations;
  readonly trace?: HostTrace;
  /** The losses are looked at, nothing is learnt: running means keep still. */
  readonly measuresOnly?: boolean;
  /** The batch is padded to at least this height and width: that of a larger batch that it is a part of. */
  readonly leastSize?: readonly [number, number];
  /** Of a batch that is one of several equal parts of a larger one, in a process each. */
  readonly whole?: WholeBatch;
}

/** The batch that a batch is a part of. */
export interface WholeBatch {
  readonly parts: number;
  /** Of what each part has of a number: all parts ask in the same order, and wait for each other. */
  sum(value: number): number;
}

/** A model that can compute its losses: what training works on. */
export interface TrainableModel {
  modelParameters(): ModelParameter[];
  /** What a training goes on with besides the weights, as JSON; undefined where there is nothing. */
  readonly trainingState?: unknown;
  restoreTrainingState?(state: unknown): void;
  /**
   * The losses of a batch, all that the model learns from (Detectron2's forward pass in training mode).
   * @throws DivergenceError where the proposals are not finite any more
   */
  computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses>;
}

/** The weighted losses of one batch, by Detectron2's names, and what is measured on the way. The owner disposes of the tensors. */
export interface BatchLosses {
  readonly losses: Record<string, tf.Scalar>;
  /**
   * How many rows each loss is a mean over, where batches of the same number of pictures differ in it; a loss without an entry is a mean over
   * pictures. The losses of a batch that is divided over processes are put together by this.
   */
  readonly counts?: Readonly<Record<string, number>>;
  /** Known on the host already. */
  readonly metrics: Record<string, number>;
  /** Values that become metrics once they are read back, together with the losses. */
  readonly pending: readonly { readonly values: tf.Tensor; toMetrics(values: Float32Array): Record<string, number> }[];
}
