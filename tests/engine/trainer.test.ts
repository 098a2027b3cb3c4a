import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { defaultConfig } from '../../src/config/merge.js';
import { Random } from '../../src/data/random.js';
import type { Hook } from '../../src/engine/hooks/hook.js';
import { KeepModel } from '../../src/engine/hooks/keep_model.js';
import { PeriodicCheckpoint } from '../../src/engine/hooks/periodic_checkpoint.js';
import { PeriodicEvaluation } from '../../src/engine/hooks/periodic_evaluation.js';
import { PeriodicWriter } from '../../src/engine/hooks/periodic_writer.js';
import { ValidationLoss } from '../../src/engine/hooks/validation_loss.js';
import { Sgd } from '../../src/engine/solver/sgd.js';
import { WeightAverage } from '../../src/engine/solver/weight_average.js';
import {
  findLastCheckpoint,
  readTrainingCheckpoint,
  restoreTrainer,
  writeModelFile,
  type AboutModel,
} from '../../src/engine/training_checkpoint.js';
import { Trainer, type TrainerOptions } from '../../src/engine/trainer.js';
import { readMetrics, JsonLinesWriter } from '../../src/engine/writers/json_lines_writer.js';
import { DivergenceError } from '../../src/errors.js';
import { devices, useDevice } from '../ops/devices.js';
import { TinyBatches, tinyLoss, TinyModel, tinySample } from './fake_training.js';

const about: AboutModel = { config: defaultConfig(), classNames: ['thing'], categoryIds: [7] };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trainer-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

interface Run {
  trainer: Trainer<TinyModel>;
  losses: number[];
  values(): Promise<number[]>;
  dispose(): void;
}

function makeRun(hooks: Hook[] = [], position = 0, options: Partial<TrainerOptions<TinyModel>> = {}): Run {
  const model = new TinyModel();
  const [parameter] = model.modelParameters();
  const trained = [{ name: parameter!.name, variable: parameter!.variable, learningRate: 0.05, weightDecay: 0.001 }];
  const optimizer = new Sgd(trained, { momentum: 0.9 });
  const average = new WeightAverage(trained, 0.9);
  const losses: number[] = [];
  const recorder: Hook = { afterStep: (_, step) => void losses.push(step.totalLoss) };
  const trainer = new Trainer<TinyModel>({
    model,
    optimizer,
    schedule: (i) => 1 / (1 + i),
    learningRate: 0.05,
    batches: new TinyBatches(position),
    iterations: 20,
    random: new Random(3),
    hooks: [recorder, ...hooks],
    accumulate: 2,
    average,
    loss: tinyLoss,
    ...options,
  });
  return {
    trainer,
    losses,
    values: async () => [...(await parameter!.get())],
    dispose() {
      optimizer.dispose();
      average.dispose();
      model.dispose();
    },
  };
}

const checkpoints = (period: number, keep = 3) => new PeriodicCheckpoint({ folder, period, keep, about });

describe.each(devices)('a resumed run on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('goes on bit by bit: 20 = 10 + 10, and leaves no tensors', async () => {
    const before = tf.memory().numTensors;
    const whole = makeRun();
    await whole.trainer.train();
    const first = makeRun([checkpoints(10), { afterStep: (t) => void (t.iteration === 10 && t.stop('enough')) }]);
    expect(await first.trainer.train()).toEqual({ finished: false, reason: 'enough' });
    const saved = await readTrainingCheckpoint((await findLastCheckpoint(folder))!);
    expect(saved.state.iteration).toBe(10);
    expect(saved.state.batches).toBe(20);
    const second = makeRun([checkpoints(10)], saved.state.batches as number);
    restoreTrainer(second.trainer as unknown as Trainer, saved);
    expect(await second.trainer.train()).toEqual({ finished: true });
    expect([...first.losses, ...second.losses]).toEqual(whole.losses);
    expect(await second.values()).toEqual(await whole.values());
    whole.trainer.options.average!.swap();
    second.trainer.options.average!.swap();
    expect(await second.values()).toEqual(await whole.values());
    for (const run of [whole, first, second]) run.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('Trainer', () => {
  beforeAll(() => useDevice('cpu'));

  it('calls hooks around every step, in order', async () => {
    const calls: string[] = [];
    const hook = (name: string): Hook => ({
      beforeTrain: () => void calls.push(`${name} beforeTrain`),
      beforeStep: () => void calls.push(`${name} beforeStep`),
      afterStep: (_, { iteration }) => void calls.push(`${name} afterStep ${iteration}`),
      afterTrain: (_, { finished }) => void calls.push(`${name} afterTrain ${finished}`),
    });
    const run = makeRun([hook('a'), hook('b')], 0, { iterations: 1 });
    await run.trainer.train();
    expect(calls).toEqual(
      ['beforeTrain', 'beforeStep', 'afterStep 0', 'afterTrain true'].flatMap((call) => [`a ${call}`, `b ${call}`]),
    );
    run.dispose();
  });

  it('stops where a loss is NaN: names loss, iteration and picture, and saves the batch', async () => {
    const run = makeRun([], 0, {
      divergenceFolder: folder,
      loss: async (model, samples, random) => {
        const found = await tinyLoss(model, samples, random);
        return samples[0]!.imageId === 5 ? { ...found, losses: { ...found.losses, loss_bad: NaN } } : found;
      },
    });
    const error = await run.trainer.train().catch((e: unknown) => e as Error);
    expect(error).toBeInstanceOf(DivergenceError);
    // Two pictures a step: picture 5 is in iteration 2.
    expect((error as Error).message).toMatch(/iteration 2, images 5 \(5\.png\): loss_bad is NaN/);
    expect((error as Error).message).toMatch(/SOLVER\.BASE_LR/);
    const saved = await readCheckpoint(join(folder, 'diverged_batch_2.safetensors'));
    expect([...saved.tensors.get('0.image')!.toFloat32()]).toEqual([5, 0, 0]);
    expect(JSON.parse(saved.metadata.samples!)).toEqual([{ image_id: 5, file_name: '5.png', polygons: [] }]);
    run.dispose();
  });

  it('names loss and picture also where the batch cannot be saved', async () => {
    const file = join(folder, 'a_file');
    await writeFile(file, '');
    const run = makeRun([], 0, {
      divergenceFolder: file,
      loss: async (model, samples, random) => {
        const found = await tinyLoss(model, samples, random);
        return { ...found, losses: { ...found.losses, loss_bad: Infinity } };
      },
    });
    await expect(run.trainer.train()).rejects.toThrow(
      /iteration 0, images .*: loss_bad is Infinity\. The batch could not be saved: .*a_file.*\. Lower SOLVER\.BASE_LR/,
    );
    run.dispose();
  });

  it('keeps the newest checkpoints, and names the last', async () => {
    const run = makeRun([checkpoints(3, 2)]);
    await run.trainer.train();
    expect((await readdir(join(folder, 'checkpoints'))).sort()).toEqual([
      'iteration_0000018.safetensors',
      'iteration_0000020.safetensors',
    ]);
    expect(await readFile(join(folder, 'last_checkpoint'), 'utf8')).toBe('checkpoints/iteration_0000020.safetensors\n');
    const { metadata, tensors } = await readCheckpoint((await findLastCheckpoint(folder))!);
    expect(metadata).toMatchObject({ iteration: '20', class_names: '["thing"]', category_ids: '[7]' });
    expect([...tensors.keys()].sort()).toEqual(['ema_state.weight', 'mean', 'optimizer.momentum.weight', 'weight']);
    run.dispose();
  });

  it('does not write weights that are not finite over good ones', async () => {
    const spoil: Hook = {
      afterStep: (t) => {
        if (t.iteration === 5) t.options.model.modelParameters()[0]!.set(Float32Array.of(1, NaN, 1));
      },
    };
    const run = makeRun([spoil, checkpoints(4), { afterStep: (t) => void (t.iteration === 5 && t.stop('spoilt')) }]);
    await expect(run.trainer.train()).rejects.toThrow(/iteration_0000005\.safetensors is not written.*'weight'/);
    expect(await findLastCheckpoint(folder)).toMatch(/iteration_0000004/);
    run.dispose();
  });

  it('keeps the best model by a metric, and stops when it no longer rises', async () => {
    const results = [10, 30, 20, 25, 40];
    const best: number[] = [];
    const evaluation = new PeriodicEvaluation({
      period: 2,
      metric: 'segm/AP',
      patience: 2,
      evaluate: async (iteration) => ({ 'segm/AP': results[iteration / 2 - 1]!, 'segm/APl': NaN }),
      onBest: async (iteration) => void best.push(iteration),
    });
    const run = makeRun([evaluation, new PeriodicWriter([new JsonLinesWriter(join(folder, 'metrics.jsonl'))], 1)]);
    const outcome = await run.trainer.train();
    expect(best).toEqual([2, 4]);
    expect(run.trainer.iteration).toBe(8);
    expect(outcome).toEqual({
      finished: false,
      reason: 'segm/AP has not risen above 30.00 of iteration 4 in 2 evaluations',
    });
    const rows = await readMetrics(join(folder, 'metrics.jsonl'));
    expect(rows.map((row) => [row.iteration, row['segm/AP']])).toEqual([
      [0, undefined],
      [1, 10],
      [2, undefined],
      [3, 30],
      [4, undefined],
      [5, 20],
      [6, undefined],
      [7, 25],
    ]);
    expect(rows[0]!['loss_w']).toBe(run.losses[0]);
    run.dispose();
  });

  it('says so where nothing is detected yet, and judges the next evaluation as usual', async () => {
    const lines: string[] = [];
    const best: [number, number][] = [];
    const nothing = { 'bbox/AP': NaN, 'segm/AP': NaN };
    const evaluation = new PeriodicEvaluation({
      period: 10,
      metric: 'segm/AP',
      patience: 0,
      evaluate: async (iteration) => (iteration === 10 ? nothing : { 'bbox/AP': 3, 'segm/AP': 2 }),
      onBest: async (iteration, value) => void best.push([iteration, value]),
      print: (line) => lines.push(line),
    });
    const run = makeRun([evaluation]);
    await run.trainer.train();
    expect(lines).toEqual([expect.stringMatching(/^iter: 9 {2}evaluation: nothing was detected yet, so there is no segm\/AP/)]);
    expect(best).toEqual([
      [10, -1],
      [20, 2],
    ]);
    run.dispose();
  });

  it('logs an evaluation at its own iteration, whatever the period of the log', async () => {
    const path = join(folder, 'metrics.jsonl');
    const evaluation = new PeriodicEvaluation({
      period: 7,
      metric: 'segm/AP',
      patience: 0,
      evaluate: async (iteration) => ({ 'segm/AP': iteration }),
      onBest: async () => {},
    });
    const run = makeRun([evaluation, new PeriodicWriter([new JsonLinesWriter(path)], 10)]);
    await run.trainer.train();
    expect((await readMetrics(path)).map((row) => [row.iteration, row['segm/AP']])).toEqual([
      [6, 7],
      [9, undefined],
      [13, 14],
      [19, 20],
    ]);
    run.dispose();
  });

  it('gives an evaluation up when the run is to end, and still leaves a model and a checkpoint', async () => {
    const lines: string[] = [];
    const kept: number[] = [];
    const evaluation: PeriodicEvaluation = new PeriodicEvaluation({
      period: 5,
      metric: 'segm/AP',
      patience: 0,
      evaluate: async (_, signal) => {
        run.trainer.stop('SIGTERM');
        signal.throwIfAborted();
        return { 'segm/AP': 1 };
      },
      onBest: async (iteration) => void kept.push(iteration),
      print: (line) => lines.push(line),
    });
    const run = makeRun([evaluation, checkpoints(100)]);
    expect(await run.trainer.train()).toEqual({ finished: false, reason: 'SIGTERM' });
    expect(lines).toEqual(['iter: 4  evaluation given up: the run is to end']);
    expect(kept).toEqual([5]);
    expect(await findLastCheckpoint(folder)).toMatch(/iteration_0000005/);
    run.dispose();
  });

  it('judges and keeps the moving average, and gives the weights back', async () => {
    let judged: number[] = [];
    const path = join(folder, 'model.safetensors');
    const run = makeRun([
      new PeriodicEvaluation({
        period: 20,
        metric: 'm',
        patience: 0,
        evaluate: async () => ({ m: (judged = await run.values())[0]! }),
        onBest: () => writeModelFile(path, run.trainer.options.model.modelParameters(), about),
      }),
    ]);
    await run.trainer.train();
    const weights = await run.values();
    run.trainer.options.average!.swap();
    const average = await run.values();
    expect(average).not.toEqual(weights);
    expect(judged).toEqual(average);
    expect([...(await readCheckpoint(path)).tensors.get('weight')!.toFloat32()]).toEqual(average);
    run.dispose();
  });

  it('leaves a model without validation, also of a run that was stopped', async () => {
    let kept = 0;
    const run = makeRun([
      new KeepModel(100, async () => void kept++),
      { afterStep: (t) => void (t.iteration === 3 && t.stop('now')) },
    ]);
    await run.trainer.train();
    expect(kept).toBe(1);
    run.dispose();
  });

  it('measures validation losses: means over the same batches', async () => {
    const validation = new ValidationLoss({
      period: 5,
      random: new Random(1),
      batches: async function* () {
        yield [tinySample(1)];
        yield [tinySample(3)];
      },
      losses: async ([sample]) => ({ loss_a: sample!.imageId, loss_b: 10 }),
    });
    const run = makeRun([validation]);
    await run.trainer.train();
    expect(run.trainer.scalars.get('validation/loss_a')).toBe(2);
    expect(run.trainer.scalars.get('validation/total_loss')).toBe(12);
    run.dispose();
  });
});
