import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '../../src/data/random.js';
import type { BatchGradients } from '../../src/engine/divergence_guard.js';
import type { BatchSource } from '../../src/engine/trainer.js';
import { Module, sameLayout, tensorOf } from '../../src/layers/module.js';
import { ZEROS } from '../../src/layers/weight_init.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';

/** Three numbers that learn to be (1, -2, 3), and one that is fixed. */
export class TinyModel extends Module {
  readonly weight = this.parameter('weight', 'weight', sameLayout([3]), ZEROS);
  readonly mean = this.parameter('mean', 'buffer', sameLayout([1]), ZEROS);

  override call(): tf.Tensor {
    throw new Error('not called');
  }
}

/** loss_w = sum (w - target - noise)^2 / 2, where the noise is drawn and the first number of the picture is added: gradient w - target - noise. */
export async function tinyLoss(model: TinyModel, samples: readonly TrainingSample[], random: Random): Promise<BatchGradients> {
  const target = [1, -2, 3].map((value) => value + 0.1 * random.normal() + 0.01 * samples[0]!.data[0]!);
  const gradient = tf.tidy(() => tf.sub(tensorOf(model.weight), tf.tensor1d(target)));
  const values = (await gradient.data()) as Float32Array;
  const loss = values.reduce((sum, v) => sum + (v * v) / 2, 0);
  return { losses: { loss_w: loss }, metrics: { 'tiny/size': values.length }, gradients: new Map([['weight', gradient]]) };
}

export function tinySample(value: number): TrainingSample {
  return {
    data: Uint8Array.of(value, 0, 0),
    height: 1,
    width: 1,
    imageId: value,
    fileName: `${value}.png`,
    groundTruth: { boxes: Float32Array.of(0, 0, 1, 1), classes: Int32Array.of(0) },
  };
}

/** Pictures 0, 1, 2, ... 6, 0, ... from a position. */
export class TinyBatches implements BatchSource {
  constructor(private position = 0) {}

  get state(): number {
    return this.position;
  }

  async next(): Promise<IteratorResult<TrainingSample[]>> {
    return { done: false, value: [tinySample(this.position++ % 7)] };
  }
}
