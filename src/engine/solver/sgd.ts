import * as tf from '@tensorflow/tfjs-core';
import { weightUpdates } from '../../backends/weight_updates.js';
import { clipGradients, type GradientClipping } from './clip_gradients.js';
import type { Optimizer } from './optimizer.js';
import { type HostTensor, Slots } from './slots.js';
import type { TrainedParameter } from './trained_parameter.js';

export interface SgdOptions {
  readonly momentum: number;
  /** Looks one step ahead; needs momentum. */
  readonly nesterov?: boolean;
  readonly clipping?: GradientClipping;
}

/**
 * Stochastic gradient descent with momentum as PyTorch has it: g = clipped gradient + weightDecay * w; v = momentum * v + g;
 * w = w - rate * v, or with Nesterov w - rate * (g + momentum * v).
 */
export class Sgd implements Optimizer {
  private readonly velocity: Slots | undefined;

  constructor(
    readonly parameters: readonly TrainedParameter[],
    private readonly options: SgdOptions,
  ) {
    this.velocity = options.momentum === 0 ? undefined : new Slots('momentum', parameters);
  }

  step(gradients: ReadonlyMap<string, tf.Tensor>, lrFactor: number, norms?: tf.Tensor1D): void {
    const { clipping } = this.options;
    const used = clipping ? clipGradients(gradients, clipping, norms) : gradients;
    for (const parameter of this.parameters) {
      const gradient = used.get(parameter.name);
      if (gradient) tf.tidy(() => this.update(parameter, gradient, lrFactor));
    }
    if (clipping) tf.dispose([...used.values()]);
  }

  async state(): Promise<Map<string, HostTensor>> {
    const state = new Map<string, HostTensor>();
    await this.velocity?.read(state);
    return state;
  }

  restore(state: ReadonlyMap<string, HostTensor>): void {
    this.velocity?.restore(state);
  }

  dispose(): void {
    this.velocity?.dispose();
  }

  private update(parameter: TrainedParameter, gradient: tf.Tensor, lrFactor: number): void {
    const { variable, weightDecay, learningRate } = parameter;
    const { momentum, nesterov = false } = this.options;
    const rate = learningRate * lrFactor;
    const updates = this.velocity && weightUpdates();
    if (this.velocity && updates) {
      const slot = this.velocity.of(parameter);
      const next = updates.sgd(variable, gradient, slot, { momentum, weightDecay, rate, nesterov });
      [variable, slot].forEach((of, i) => of.assign(next[i]));
      return;
    }
    const decayed = weightDecay === 0 ? gradient : tf.add(gradient, tf.mul(variable, weightDecay));
    let direction = decayed;
    if (this.velocity) {
      const slot = this.velocity.of(parameter);
      const velocity = tf.add(tf.mul(slot, momentum), decayed);
      slot.assign(velocity);
      direction = nesterov ? tf.add(decayed, tf.mul(velocity, momentum)) : velocity;
    }
    variable.assign(tf.sub(variable, tf.mul(direction, rate)));
  }
}
