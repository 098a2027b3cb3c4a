import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { trainSamplesFromConfig } from '../../src/data/loader/index.js';
import { learningBatchNorms, updatePopulationStatistics } from '../../src/engine/population_statistics.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { Module } from '../../src/layers/module.js';
import { BatchNorm } from '../../src/layers/norm.js';
import { ImageOrders } from '../../src/rpn/image_orders.js';
import type { BatchLosses, TrainingPass } from '../../src/meta_arch/training_pass.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { givenOrder } from '../given_order.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { devices, useDevice } from '../ops/devices.js';

/** A batch norm that looks at pictures as they are, one that nothing reaches, and one that is frozen. */
class Looker extends Module {
  readonly norm = this.child('norm', new BatchNorm(3));
  readonly unused = this.child('unused', new BatchNorm(3));
  readonly fixed = this.child('fixed', new BatchNorm(3));

  constructor() {
    super();
    this.fixed.freeze();
  }

  computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses> {
    const { data, height, width } = samples[0]!;
    const loss = pass.record(() =>
      tf.tidy(() => tf.sum<tf.Scalar>(this.norm.forward(tf.tensor4d(Float32Array.from(data), [1, height, width, 3])))),
    );
    return Promise.resolve({ losses: { loss }, metrics: {}, pending: [] });
  }
}

const picture = (height: number, width: number, seed: number): TrainingSample => ({
  data: Uint8Array.from(new Random(seed).permutation(height * width * 3), (v) => (v * 7 + seed * 40) % 256),
  height,
  width,
  imageId: seed,
  fileName: `${seed}.png`,
  groundTruth: { boxes: new Float32Array(0), classes: new Int32Array(0) },
});

async function* batchesOf(...pictures: TrainingSample[]): AsyncGenerator<TrainingSample[]> {
  for (const one of pictures) yield await Promise.resolve([one]);
}

describe.each(devices)('updatePopulationStatistics on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('gives the mean and the variance of all pixels of batches of several sizes, to norms that learn and were used', async () => {
    const pictures = [picture(6, 5, 1), picture(9, 11, 2), picture(4, 4, 3)];
    const model = new Looker();
    const before = tf.memory().numTensors;
    expect(await updatePopulationStatistics(model, batchesOf(...pictures), () => givenOrder)).toBe(true);
    expect(tf.memory().numTensors).toBe(before);
    const values = async (name: string) => [
      ...(await model
        .modelParameters()
        .find((p) => p.name === name)!
        .get()),
    ];
    const [mean, variance] = [await values('norm.running_mean'), await values('norm.running_var')];
    for (const channel of [0, 1, 2]) {
      const all = pictures.flatMap(({ data }) => [...data].filter((_, i) => i % 3 === channel));
      const wanted = all.reduce((a, b) => a + b) / all.length;
      const spread = all.reduce((sum, v) => sum + (v - wanted) ** 2, 0) / all.length;
      expect(Math.abs(mean[channel]! - wanted)).toBeLessThan(1e-5 * wanted);
      expect(Math.abs(variance[channel]! - spread)).toBeLessThan(1e-5 * spread);
    }
    expect([await values('unused.running_mean'), await values('fixed.running_var')]).toEqual([[0, 0, 0], [1, 1, 1]]); // prettier-ignore
    model.dispose();
  });

  it('leaves the statistics alone where it is told to end, and after an error', async () => {
    const model = new Looker();
    let asked = 0;
    const ends = () => asked++ === 1;
    const batches = () => batchesOf(picture(4, 5, 1), picture(5, 4, 2));
    expect(await updatePopulationStatistics(model, batches(), () => givenOrder, ends)).toBe(false);
    await expect(
      updatePopulationStatistics(model, batches(), () => {
        throw new Error('no order');
      }),
    ).rejects.toThrow('no order');
    const mean = model.modelParameters().find((p) => p.name === 'norm.running_mean')!;
    expect([...(await mean.get())]).toEqual([0, 0, 0]);
    expect(learningBatchNorms(model)).toEqual([model.norm, model.unused]);
    expect(model.norm.collect).toBeUndefined();
    model.dispose();
  });
});

describe('TEST.PRECISE_BN', () => {
  const folder = mkdtempSync(join(tmpdir(), 'precise-'));
  const data = writeTinyData(folder);
  afterAll(() => rmSync(folder, { recursive: true }));

  async function train(name: string, ...overrides: string[]) {
    const keys = ['MODEL.RESNETS.NORM=BN', 'SOLVER.MAX_ITER=2', 'SOLVER.CHECKPOINT_PERIOD=100', ...overrides];
    const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', keys);
    const lines: string[] = [];
    const run = await prepareTraining({
      config,
      weights: 'none',
      train: { json: data.json, images: data.images },
      output: join(folder, name),
      device: 'wasm',
      print: (line) => lines.push(line),
    });
    await run.train();
    return { run, lines };
  }

  it('leaves a model with the statistics of its last weights, over its number of batches', async () => {
    const { run } = await train('precise', 'TEST.PRECISE_BN.ENABLED=True', 'TEST.PRECISE_BN.NUM_ITER=3');
    const { model, about } = run;
    const parameters = model.modelParameters();
    const running = parameters.filter(({ name }) => /running_(mean|var)$/.test(name));
    const kept = await Promise.all(running.map((parameter) => parameter.get()));
    // The same once more, from the same seeds.
    const { config } = about;
    const seed = new Random(config.SEED).fork(3, 2).uint32();
    const loader = await trainSamplesFromConfig(config, { json: data.json, images: data.images, seed });
    async function* batches() {
      for (let i = 0; i < 3; i++) yield (await loader.next()).value as TrainingSample[];
    }
    const order = (batch: number) => new ImageOrders(new Random(config.SEED).fork(2).fork(2, batch));
    await updatePopulationStatistics(model, batches(), order);
    await loader.close();
    for (const [i, parameter] of running.entries()) expect(await parameter.get(), parameter.name).toEqual(kept[i]);
    // What is learnt is what it is without; the running averages of it are of other weights.
    const plain = await train('plain');
    const others = new Map(plain.run.model.modelParameters().map((parameter) => [parameter.name, parameter]));
    let largest = 0;
    for (const parameter of parameters) {
      const [ours, theirs] = [await parameter.get(), await others.get(parameter.name)!.get()];
      if (!running.includes(parameter)) expect(ours, parameter.name).toEqual(theirs);
      else largest = ours.reduce((most, v, i) => Math.max(most, Math.abs(v - theirs[i]!)), largest);
    }
    expect(largest).toBeGreaterThan(0.1);
    await run.dispose();
    await plain.run.dispose();
  });

  it('says so where there is nothing for it to do', async () => {
    const { run, lines } = await train('frozen', 'TEST.PRECISE_BN.ENABLED=True', 'MODEL.RESNETS.NORM=FrozenBN');
    expect(lines.join('\n')).toContain('TEST.PRECISE_BN has no effect: the model has no batch norms that learn');
    await run.dispose();
  });
});
