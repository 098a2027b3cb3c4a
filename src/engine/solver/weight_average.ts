import * as tf from '@tensorflow/tfjs-core';
import { weightUpdates } from '../../backends/weight_updates.js';

/** What an average follows. */
interface Followed {
  readonly name: string;
  readonly variable: tf.Variable;
}

/**
 * An exponential moving average of weights: average = decay * average + (1 - decay) * weight after every step. It starts as the weights
 * themselves, and in its first steps t the decay is at most (1 + t) / (10 + t), so that the start is forgotten soon.
 */
export class WeightAverage {
  private readonly averages: { readonly followed: Followed; readonly average: tf.Variable }[];
  private updates = 0;

  constructor(
    parameters: readonly Followed[],
    readonly decay: number,
  ) {
    this.averages = parameters.map((followed) => ({ followed, average: tf.variable(followed.variable, false) }));
  }

  /** How many updates it has seen. */
  get steps(): number {
    return this.updates;
  }

  /** Takes the weights as they are for the average after that many updates: to go on from a checkpoint. */
  reset(steps: number): void {
    for (const { followed, average } of this.averages) average.assign(followed.variable);
    this.updates = steps;
  }

  update(): void {
    this.updates++;
    const decay = Math.min(this.decay, (1 + this.updates) / (10 + this.updates));
    const updates = weightUpdates();
    for (const { followed, average } of this.averages)
      tf.tidy(() =>
        average.assign(
          updates?.average(average, followed.variable, decay) ??
            tf.add(tf.mul(average, decay), tf.mul(followed.variable, 1 - decay)),
        ),
      );
  }

  /** Exchanges the weights and their average: twice is as before. To evaluate or save the average. */
  swap(): void {
    for (const { followed, average } of this.averages) {
      const weight = tf.clone(followed.variable);
      followed.variable.assign(average);
      average.assign(weight);
      weight.dispose();
    }
  }

  dispose(): void {
    for (const { average } of this.averages) average.dispose();
    this.averages.length = 0;
  }
}
