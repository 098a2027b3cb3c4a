import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { DataParallel } from '../../src/distributed/data_parallel.js';
import type { BatchLosses, TrainingPass } from '../../src/meta_arch/training_pass.js';
import { Module, sameLayout, tensorOf } from '../../src/layers/module.js';
import { BatchNorm, FrozenBatchNorm } from '../../src/layers/norm.js';
import { ZEROS } from '../../src/layers/weight_init.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { tinySample } from '../engine/fake_training.js';
import { devices, useDevice } from '../ops/devices.js';
import { GivenPeers } from './in_process.js';

/** loss_mean = 2 w, a mean over pictures; loss_rows = 3 w, a mean over as many rows as the first picture's first byte says. */
class TwoLosses extends Module {
  readonly weight = this.parameter('weight', 'weight', sameLayout([1]), ZEROS);
  seen: TrainingPass | undefined;

  override call(): tf.Tensor {
    throw new Error('not called');
  }

  async computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses> {
    this.seen = pass;
    const times = (factor: number) => pass.record(() => tf.tidy(() => tf.sum<tf.Scalar>(tf.mul(tensorOf(this.weight), factor))));
    return {
      losses: { loss_rows: times(3), loss_mean: times(2) },
      counts: { loss_rows: samples[0]!.data[0]! },
      metrics: {},
      pending: [],
    };
  }
}

/** Has a background. */
class Eager extends GivenPeers {
  begun = 0;

  startSum(values: Float32Array): () => void {
    this.begun++;
    this.sum(values);
    return () => undefined;
  }
}

describe.each(devices)('a divided batch on %s', (device) => {
  it.each([false, true])(
    'weighs every loss by the rows of this rank in those of all, and pads to the largest picture of all; overlap %s',
    async (overlap) => {
      await useDevice(device);
      const model = new TwoLosses();
      const before = tf.memory().numTensors;
      // The other three ranks: a picture of 40 x 20; loss_mean of 3 batches and loss_rows of 27 rows; then gradients and losses.
      const peers = [[40, 20], [3, 27], [10], [0.5, 0.25]];
      const processes = overlap ? new Eager(2, 4, peers) : new GivenPeers(2, 4, peers);
      const parallel = new DataParallel(processes, { overlap });
      const found = await parallel.loss(model, [tinySample(9)], new Random(1));
      expect(model.seen!.leastSize).toEqual([40, 20]);
      // A quarter of the mean over pictures, 9 of 36 rows of the other: 2 / 4 + 3 * 9 / 36.
      expect(found.gradients.get('weight')!.dataSync()[0]).toBeCloseTo(1.25, 6);
      // With overlap the sum has begun before the losses are known.
      if (processes instanceof Eager) expect(processes.begun).toBe(1);
      expect(parallel.shareOf({ loss_mean: 8, loss_rows: 12 })).toEqual({ loss_mean: 2, loss_rows: 3 });
      const sums = parallel.sum({ loss_rows: 3, loss_mean: 2 }, found.gradients);
      expect(sums.losses).toEqual({ loss_rows: 3.25, loss_mean: 2.5 });
      expect(sums.gradients.get('weight')!.dataSync()[0]).toBeCloseTo(11.25, 6);
      tf.dispose([...sums.gradients.values()]);
      expect(tf.memory().numTensors).toBe(before);
      model.dispose();
    },
  );

  it('gives a loss without rows anywhere no weight, and draws by the place in the whole batch', async () => {
    await useDevice(device);
    const model = new TwoLosses();
    const parallel = new DataParallel(
      new GivenPeers(3, 4, [
        [1, 1],
        [3, 0],
      ]),
    );
    const found = await parallel.loss(model, [tinySample(0), tinySample(1)], new Random(1));
    expect(parallel.shareOf({ loss_mean: 4, loss_rows: 4 })).toEqual({ loss_mean: 1, loss_rows: 0 });
    // Two pictures a rank: the first of rank 3 is picture 6 of the batch.
    expect(model.seen!.order.ofImage!(0).permutation(9)).toEqual(new Random(1).fork(6).permutation(9));
    tf.dispose([...found.gradients.values()]);
    model.dispose();
  });

  it('makes the running statistics of batch norms that learn the mean of all, and leaves frozen ones alone', async () => {
    await useDevice(device);
    const [norm, frozen] = [new BatchNorm(2), new FrozenBatchNorm(2)];
    const parameters = [...norm.modelParameters('norm.'), ...frozen.modelParameters('frozen.')];
    for (const { name, set } of parameters) if (name.endsWith('running_mean')) set(Float32Array.of(1, 2));
    const before = tf.memory().numTensors;
    // The other two ranks together have variances of 2 and 5, and means of 8 and 1; here the variances are 1.
    new DataParallel(new GivenPeers(0, 3, [[2, 5, 8, 1]])).settle({ modelParameters: () => parameters });
    expect(tf.memory().numTensors).toBe(before);
    const values = async (end: string) => [...(await parameters.find(({ name }) => name === end)!.get())];
    expect(await values('norm.running_mean')).toEqual([3, 1]);
    expect(await values('norm.running_var')).toEqual([1, 2]);
    expect(await values('frozen.running_mean')).toEqual([1, 2]);
    expect(await values('norm.weight')).toEqual([1, 1]);
    norm.dispose();
    frozen.dispose();
  });

  it('ends everywhere where one process is asked to', () => {
    expect(new DataParallel(new GivenPeers(0, 2, [[1]])).anywhere(false)).toBe(true);
    expect(new DataParallel(new GivenPeers(0, 2, [[0]])).anywhere(false)).toBe(false);
  });
});
