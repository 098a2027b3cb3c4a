import * as tf from '@tensorflow/tfjs-core';
import { weightUpdates } from '../../backends/weight_updates.js';
import { CheckpointError } from '../../errors.js';
import { clipGradients, type GradientClipping } from './clip_gradients.js';
import type { Optimizer } from './optimizer.js';
import { type HostTensor, Slots } from './slots.js';
import type { TrainedParameter } from './trained_parameter.js';

export interface AdamWOptions {
  /** Decay of the running means of gradients and of their squares. */
  readonly betas?: readonly [number, number];
  readonly epsilon?: number;
  readonly clipping?: GradientClipping;
}

/** Adam with decoupled weight decay (Loshchilov and Hutter 2019), as `torch.optim.AdamW`: betas 0.9 and 0.999, epsilon 1e-8. */
export class AdamW implements Optimizer {
  private readonly mean: Slots;
  private readonly square: Slots;
  private steps = 0;

  constructor(
    readonly parameters: readonly TrainedParameter[],
    private readonly options: AdamWOptions = {},
  ) {
    this.mean = new Slots('exp_avg', parameters);
    this.square = new Slots('exp_avg_sq', parameters);
  }

  step(gradients: ReadonlyMap<string, tf.Tensor>, lrFactor: number, norms?: tf.Tensor1D): void {
    const { clipping } = this.options;
    const used = clipping ? clipGradients(gradients, clipping, norms) : gradients;
    this.steps++;
    for (const parameter of this.parameters) {
      const gradient = used.get(parameter.name);
      if (gradient) tf.tidy(() => this.update(parameter, gradient, lrFactor));
    }
    if (clipping) tf.dispose([...used.values()]);
  }

  async state(): Promise<Map<string, HostTensor>> {
    const state = new Map<string, HostTensor>([['step', { shape: [1], values: Float32Array.of(this.steps) }]]);
    await this.mean.read(state);
    await this.square.read(state);
    return state;
  }

  restore(state: ReadonlyMap<string, HostTensor>): void {
    const steps = state.get('step')?.values[0];
    if (steps === undefined)
      throw new CheckpointError(
        "The checkpoint's optimiser state has no 'step': it was not written by AdamW (SOLVER.OPTIMIZER).",
      );
    this.mean.restore(state);
    this.square.restore(state);
    this.steps = steps;
  }

  dispose(): void {
    this.mean.dispose();
    this.square.dispose();
  }

  private update(parameter: TrainedParameter, gradient: tf.Tensor, lrFactor: number): void {
    const { variable, weightDecay } = parameter;
    const [beta1, beta2] = this.options.betas ?? [0.9, 0.999];
    const rate = parameter.learningRate * lrFactor;
    const epsilon = this.options.epsilon ?? 1e-8;
    const scale = Math.sqrt(1 - beta2 ** this.steps);
    const kept = 1 - rate * weightDecay;
    const corrected = rate / (1 - beta1 ** this.steps);
    const meanSlot = this.mean.of(parameter);
    const squareSlot = this.square.of(parameter);
    const updates = weightUpdates();
    if (updates) {
      const rates = { betas: [beta1, beta2], epsilon, scale, kept, rate: corrected } as const;
      const next = updates.adamW(variable, gradient, meanSlot, squareSlot, rates);
      [variable, meanSlot, squareSlot].forEach((slot, i) => slot.assign(next[i]));
      return;
    }
    const mean = tf.add(tf.mul(meanSlot, beta1), tf.mul(gradient, 1 - beta1));
    const square = tf.add(tf.mul(squareSlot, beta2), tf.mul(tf.square(gradient), 1 - beta2));
    meanSlot.assign(mean);
    squareSlot.assign(square);
    const denominator = tf.add(tf.div(tf.sqrt(square), scale), epsilon);
    const decayed = weightDecay === 0 ? variable : tf.mul(variable, kept);
    variable.assign(tf.sub(decayed, tf.mul(tf.div(mean, denominator), corrected)));
  }
}
