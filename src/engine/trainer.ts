import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '../data/random.js';
import { ArgumentError, DatasetError, ImageError } from '../errors.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { type BatchGradients, DivergenceGuard } from './divergence_guard.js';
import type { Hook } from './hooks/hook.js';
import { ScalarLog } from './scalar_log.js';
import { GradientAccumulator } from './solver/accumulator.js';
import { gradientNorms } from './solver/clip_gradients.js';
import type { Optimizer } from './solver/optimizer.js';
import type { WeightAverage } from './solver/weight_average.js';

/** Where batches come from, endlessly; a `TrainLoader` is one. */
export interface BatchSource {
  next(): Promise<IteratorResult<readonly TrainingSample[]>>;
  /** Where the next batch begins, as JSON: a checkpoint keeps it, and a source that goes on is made with it. */
  readonly state: unknown;
}

/** How the trainers of several processes work as one: what each has of a step becomes the step of all, the same everywhere. */
export interface StepSharing {
  /** This process, from 0. */
  readonly rank: number;
  /** This process's share of the whole batch's losses, of which the sum over the processes is the loss. */
  shareOf(losses: Readonly<Record<string, number>>): Record<string, number>;
  /** Sums over the processes; the gradients given are disposed of. @throws DivergenceError where those of this process are not finite */
  sum(
    losses: Readonly<Record<string, number>>,
    gradients: ReadonlyMap<string, tf.Tensor>,
  ): { readonly losses: Record<string, number>; readonly gradients: Map<string, tf.Tensor> };
  /** After a step: what the model has learnt besides, each process from its own pictures, becomes the same everywhere. */
  settle(model: TrainableModel): void;
  /** Whether it is so in any process. */
  anywhere(here: boolean): boolean;
}

/** What the trainer asks of a model: its weights by name, and what else a checkpoint keeps. */
export type TrainableModel = Pick<MetaArchitecture, 'modelParameters'> &
  Partial<Pick<MetaArchitecture, 'trainingState' | 'restoreTrainingState'>>;

/** Losses and gradients of a batch: `lossGradients` for the models here. */
export type LossFunction<M extends TrainableModel> = (
  model: M,
  samples: readonly TrainingSample[],
  random: Random,
) => Promise<BatchGradients>;

export interface TrainerOptions<M extends TrainableModel = MetaArchitecture> {
  readonly model: M;
  readonly optimizer: Optimizer;
  /** Factor of the learning rate at an iteration, from 0. */
  readonly schedule: (iteration: number) => number;
  /** The rate that the factor is of: for the log only, the optimiser has its own. */
  readonly learningRate: number;
  readonly batches: BatchSource;
  /** Steps of the whole run. */
  readonly iterations: number;
  /** Draws what every iteration samples; an iteration's draws do not depend on those before. */
  readonly random: Random;
  readonly hooks?: readonly Hook[];
  /** Batches a step. */
  readonly accumulate?: number;
  /** Updated after every step; saved with checkpoints. */
  readonly average?: WeightAverage;
  readonly loss: LossFunction<M>;
  /** Makes this trainer one of several that learn together, whose `loss` knows the same. */
  readonly sharing?: StepSharing;
  /** Where the batch that diverged is saved; nowhere unless given. */
  readonly divergenceFolder?: string;
  /** Milliseconds, for the times in the log. */
  readonly now?: () => number;
}

/** One step that was made. */
export interface TrainStep {
  /** From 0. */
  readonly iteration: number;
  /** By Detectron2's names; the mean over accumulated batches. */
  readonly losses: Readonly<Record<string, number>>;
  readonly totalLoss: number;
  readonly learningRate: number;
  readonly samples: readonly TrainingSample[];
  /** How long it took, the wait for pictures included. */
  readonly seconds: number;
}

/** How a run ended: all iterations made, or stopped before, with the reason. */
export type TrainOutcome = { readonly finished: true } | { readonly finished: false; readonly reason: string };

/**
 * A training run: takes batches, computes losses and gradients, moves the weights, and calls hooks around that. The loop itself is `train`;
 * `examples/plain_train.ts` is the same without this class.
 */
export class Trainer<M extends TrainableModel = MetaArchitecture> {
  /** The next iteration to make, from 0; set by a resume. */
  iteration = 0;
  /** The numbers of the run: losses, metrics, rate, times, and what hooks measure. */
  readonly scalars = new ScalarLog();
  private readonly accumulator = new GradientAccumulator();
  private readonly guard: DivergenceGuard;
  private stopReason: string | undefined;
  private readonly stopping = new AbortController();

  constructor(readonly options: TrainerOptions<M>) {
    if (!(options.iterations >= 1)) throw new ArgumentError(`iterations is ${options.iterations}; expected at least 1.`);
    this.guard = new DivergenceGuard(options.divergenceFolder, options.sharing?.rank);
  }

  get hooks(): readonly Hook[] {
    return this.options.hooks ?? [];
  }

  /** Ends the run after the current step; hooks still see its end. The first reason stays. */
  stop(reason: string): void {
    this.stopReason ??= reason;
    this.stopping.abort();
  }

  /** Aborted by `stop`: what takes long in a hook gives up then. */
  get stopSignal(): AbortSignal {
    return this.stopping.signal;
  }

  /**
   * Runs from `iteration` to the end.
   * @throws DivergenceError where a loss or a gradient is NaN or infinite: names it, the iteration and the images. Hooks are told of any error first
   */
  async train(): Promise<TrainOutcome> {
    const self = this as unknown as Trainer;
    try {
      for (const hook of this.hooks) await hook.beforeTrain?.(self);
      while (this.iteration < this.options.iterations && !this.isStopping()) {
        for (const hook of this.hooks) await hook.beforeStep?.(self);
        const step = await this.step();
        for (const hook of this.hooks) await hook.afterStep?.(self, step);
      }
      const finished = this.iteration >= this.options.iterations;
      const outcome: TrainOutcome = finished ? { finished } : { finished, reason: this.stopReason ?? 'stopped' };
      for (const hook of this.hooks) await hook.afterTrain?.(self, outcome);
      return outcome;
    } catch (error) {
      this.accumulator.dispose();
      for (const hook of this.hooks) {
        try {
          await hook.afterError?.(self, error);
        } catch {
          // What fails now would hide what happened.
        }
      }
      throw error;
    }
  }

  /** Processes that learn together end after the same step. */
  private isStopping(): boolean {
    const { sharing } = this.options;
    if (!sharing) return this.stopReason !== undefined;
    if (!sharing.anywhere(this.stopReason !== undefined)) return false;
    this.stopReason ??= 'another process of the run was asked to end';
    return true;
  }

  /** One step: batches, gradients, update. */
  private async step(): Promise<TrainStep> {
    const { options, iteration, scalars } = this;
    const accumulate = options.accumulate ?? 1;
    const now = options.now ?? (() => performance.now());
    const start = now();
    let waited = 0;
    let losses: Record<string, number> = {};
    const measured: [string, number][] = [];
    const samples: TrainingSample[] = [];
    for (let part = 0; part < accumulate; part++) {
      const asked = now();
      const { value: batch, done } = await this.nextBatch();
      if (done) throw new ArgumentError(`The batches ended at iteration ${iteration}; expected as many as there are iterations.`);
      waited += now() - asked;
      samples.push(...batch);
      const random = options.random.fork(iteration, part);
      const found = await this.guard.watch(iteration, batch, () => this.computeLosses(batch, random));
      const share = options.sharing?.shareOf(found.losses) ?? found.losses;
      for (const [name, value] of Object.entries(share)) losses[name] = (losses[name] ?? 0) + value / accumulate;
      measured.push(...Object.entries(found.metrics));
      this.accumulator.add(found.gradients);
    }
    let gradients = this.accumulator.take();
    const { sharing } = options;
    if (sharing) ({ losses, gradients } = await this.guard.explain(iteration, samples, () => sharing.sum(losses, gradients)));
    const factor = options.schedule(iteration);
    await this.update(gradients, factor, samples);
    sharing?.settle(options.model);
    options.average?.update();
    const totalLoss = Object.values(losses).reduce((a, b) => a + b, 0);
    const learningRate = options.learningRate * factor;
    // Only now: of a step that diverged nothing is logged.
    for (const [name, value] of [...measured, ...Object.entries(losses)]) scalars.put(name, value);
    scalars.put('total_loss', totalLoss);
    scalars.put('lr', learningRate, false);
    scalars.put('data_time', waited / 1000);
    const seconds = (now() - start) / 1000;
    scalars.put('time', seconds);
    this.iteration++;
    return { iteration, losses, totalLoss, learningRate, samples, seconds };
  }

  /** A file that fails does so long after the start: the error says when, and how to go on. */
  private async nextBatch(): Promise<IteratorResult<readonly TrainingSample[]>> {
    try {
      return await this.options.batches.next();
    } catch (error) {
      if (error instanceof ImageError || error instanceof DatasetError)
        error.message = `Iteration ${this.iteration} has no pictures: ${error.message.replace(/\.$/, '')}. Mend the file, then go on from the last checkpoint with --resume.`;
      throw error;
    }
  }

  /** Moves the weights, where the gradients are numbers; disposes of the gradients. */
  private async update(
    gradients: ReadonlyMap<string, tf.Tensor>,
    factor: number,
    samples: readonly TrainingSample[],
  ): Promise<void> {
    const norms = gradientNorms(gradients);
    try {
      await this.guard.checkNorms(this.iteration, samples, [...gradients.keys()], norms);
      this.options.optimizer.step(gradients, factor, norms);
    } finally {
      tf.dispose([norms, ...gradients.values()]);
    }
  }

  private computeLosses(batch: readonly TrainingSample[], random: Random): Promise<BatchGradients> {
    return this.options.loss(this.options.model, batch, random);
  }
}
