import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '../data/random.js';
import type { BatchGradients } from '../engine/divergence_guard.js';
import { lossGradients } from '../engine/loss_gradients.js';
import type { StepSharing } from '../engine/trainer.js';
import type { TrainableModel } from '../meta_arch/training_pass.js';
import type { Module } from '../layers/module.js';
import { BatchNorm } from '../layers/norm.js';
import { ImageOrders } from '../rpn/image_orders.js';
import type { TrainingSample } from '../structures/training_sample.js';
import type { Communicator } from './communicator.js';
import { type GradientShape, GradientSum, sumGradients } from './gradient_buckets.js';

export interface DataParallelOptions {
  /**
   * Sums gradients while the backward pass computes those of earlier layers, where the communicator can. For steps of one batch: gradients that are
   * accumulated first are summed once, behind the last. Not for norms of kind `SyncBN`, which exchange sums in the backward pass themselves.
   */
  readonly overlap?: boolean;
}

/**
 * Training with the pictures of every batch divided over the ranks, equal to one process with the whole batch up to the order of sums: pictures are
 * padded to the largest of the whole batch, drawn from by their place in it, and each loss is put together by the number of rows that it is a
 * mean over on every rank, not by the number of ranks.
 */
export class DataParallel implements StepSharing {
  private shares: Readonly<Record<string, number>> = {};
  /** The sums that the last backward pass began. */
  private begun: GradientSum | undefined;

  constructor(
    private readonly communicator: Communicator,
    private readonly options: DataParallelOptions = {},
  ) {}

  get rank(): number {
    return this.communicator.rank;
  }

  /** The losses of this rank's pictures as they are, and the gradients of its share of the whole batch's losses. */
  readonly loss = (model: TrainableModel, samples: readonly TrainingSample[], random: Random): Promise<BatchGradients> => {
    const { communicator } = this;
    const largest = Float64Array.of(
      Math.max(...samples.map(({ height }) => height)),
      Math.max(...samples.map(({ width }) => width)),
    );
    communicator.max(largest);
    const begun = this.options.overlap && communicator.startSum ? new GradientSum(communicator, trainedOf(model)) : undefined;
    this.begun = begun;
    return lossGradients(model, samples, new ImageOrders(random, communicator.rank * samples.length), {
      leastSize: [largest[0], largest[1]],
      whole: { parts: communicator.size, sum: (value) => this.total(value) },
      weigh: (names, counts) => (this.shares = this.sharesOf(names, counts)),
      ...(begun ? { onGradient: (name, gradient) => begun.give(name, gradient) } : {}),
    });
  };

  shareOf(losses: Readonly<Record<string, number>>): Record<string, number> {
    return Object.fromEntries(Object.entries(losses).map(([name, value]) => [name, value * this.shares[name]]));
  }

  sum(losses: Readonly<Record<string, number>>, gradients: ReadonlyMap<string, tf.Tensor>) {
    const { begun, communicator } = this;
    this.begun = undefined;
    const sums = begun ? finish(begun, gradients) : sumGradients(communicator, gradients);
    const names = Object.keys(losses).sort();
    const values = Float64Array.from(names, (name) => losses[name]);
    communicator.sum(values);
    return {
      losses: Object.fromEntries(Object.keys(losses).map((name) => [name, values[names.indexOf(name)]])),
      gradients: sums,
    };
  }

  /** Gives a model's norms of kind `SyncBN` the statistics of all processes' pictures. Before the first step. */
  synchronise(model: Module): void {
    for (const module of model.modules())
      if (module instanceof BatchNorm) module.synchronise((sums) => this.communicator.sum(sums));
  }

  /** Batch norms that learn have statistics of the pictures of their own process: the running ones become the mean of all. */
  settle(model: Pick<TrainableModel, 'modelParameters'>): void {
    const parameters = model.modelParameters();
    const learnt = new Set(parameters.flatMap(({ name, trainable }) => (trainable ? [name] : [])));
    const running = parameters.filter(
      ({ name }) => learnt.has(name.replace(/\.running_(mean|var)$/, '.weight')) && !learnt.has(name),
    );
    const values = running.map(({ name, variable }) => [name, tf.clone(variable)] as const);
    const sums = sumGradients(this.communicator, new Map(values));
    for (const { name, variable } of running) tf.tidy(() => variable.assign(tf.div(sums.get(name)!, this.communicator.size)));
    tf.dispose([...sums.values()]);
  }

  anywhere(here: boolean): boolean {
    const flag = Float64Array.of(here ? 1 : 0);
    this.communicator.max(flag);
    return flag[0] > 0;
  }

  private total(value: number): number {
    const sum = Float64Array.of(value);
    this.communicator.sum(sum);
    return sum[0];
  }

  /** This rank's part of the rows that each loss is a mean over; nothing of a loss that has no row anywhere. */
  private sharesOf(names: readonly string[], counts: Readonly<Record<string, number>>): Record<string, number> {
    const sorted = [...names].sort();
    const own = sorted.map((name) => counts[name] ?? 1);
    const total = Float64Array.from(own);
    this.communicator.sum(total);
    return Object.fromEntries(sorted.map((name, i) => [name, total[i] > 0 ? own[i] / total[i] : 0]));
  }
}

function trainedOf(model: Pick<TrainableModel, 'modelParameters'>): GradientShape[] {
  const trained = model.modelParameters().filter(({ trainable }) => trainable);
  return trained.map(({ name, variable: { shape, size } }) => ({ name, shape, size }));
}

/** The sums, in the place of this rank's own gradients. */
function finish(begun: GradientSum, gradients: ReadonlyMap<string, tf.Tensor>): Map<string, tf.Tensor> {
  try {
    return begun.finish();
  } finally {
    tf.dispose([...gradients.values()]);
  }
}
