import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { defaultConfig } from '../../../src/config/merge.js';
import { AdamW } from '../../../src/engine/solver/adamw.js';
import { GradientAccumulator } from '../../../src/engine/solver/accumulator.js';
import { clippingFromConfig } from '../../../src/engine/solver/clip_gradients.js';
import { lrSchedule } from '../../../src/engine/solver/lr_schedule.js';
import { optimizerFromConfig } from '../../../src/engine/solver/optimizer.js';
import { Sgd } from '../../../src/engine/solver/sgd.js';
import { trainedParameters, type TrainedParameter } from '../../../src/engine/solver/trained_parameter.js';
import { WeightAverage } from '../../../src/engine/solver/weight_average.js';
import { scaleToProcesses } from '../../../src/engine/solver/world_size.js';
import { CheckpointError, ConfigError } from '../../../src/errors.js';
import { runSolver } from '../../golden/data/solver.js';
import type { Line } from '../../golden/compare.js';
import { goldenFolder } from '../../golden_folder.js';
import { devices, useDevice } from '../../ops/devices.js';

const golden = goldenFolder();

function parameter(name: string, values: number[], rates: Partial<TrainedParameter> = {}): TrainedParameter {
  return { name, variable: tf.tidy(() => tf.variable(tf.tensor1d(values))), learningRate: 0.1, weightDecay: 0, ...rates };
}

const gradientsOf = (values: Record<string, number[]>): Map<string, tf.Tensor> =>
  new Map(Object.entries(values).map(([name, row]) => [name, tf.tensor1d(row)]));

/** torch.optim.AdamW in doubles, written from its documentation. */
function adamwInDoubles(w: number, gradients: number[], rate: number, decay: number): number[] {
  let m = 0;
  let v = 0;
  return gradients.map((g, i) => {
    const t = i + 1;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    w -= rate * decay * w;
    w -= (rate * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8);
    return w;
  });
}

describe.each(devices)('on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.skipIf(!golden)('equals the golden schedules, updates and clipped gradients', async () => {
    const lines: Line[] = [];
    const before = tf.memory().numTensors;
    await runSolver(join(golden!, 'data/solver'), 'solver', (line) => lines.push(line));
    expect(tf.memory().numTensors).toBe(before);
    expect(lines.length).toBeGreaterThan(300);
    expect(lines.filter(({ ok }) => ok !== true)).toEqual([]);
  });

  it('AdamW follows its definition, and leaves no tensors', async () => {
    const w = parameter('w', [0.5, -2], { learningRate: 0.05, weightDecay: 0.1 });
    const optimizer = new AdamW([w]);
    const before = tf.memory().numTensors;
    const rows = [
      [0.3, -1],
      [-0.2, 4],
      [0.1, 0.5],
    ];
    const expected = [0, 1].map((k) =>
      adamwInDoubles(
        [0.5, -2][k]!,
        rows.map((row) => row[k]!),
        0.025,
        0.1,
      ),
    );
    for (const [i, row] of rows.entries()) {
      const gradients = gradientsOf({ w: row });
      optimizer.step(gradients, 0.5);
      tf.dispose([...gradients.values()]);
      const values = await w.variable.data();
      for (const k of [0, 1]) expect(values[k]).toBeCloseTo(expected[k]![i]!, 6);
    }
    expect(tf.memory().numTensors).toBe(before);
    optimizer.dispose();
    w.variable.dispose();
  });

  it.each(['SGD', 'ADAMW'])('%s goes on from a saved state bit by bit', async (name) => {
    const cfg = defaultConfig();
    cfg.SOLVER.OPTIMIZER = name;
    cfg.SOLVER.BASE_LR = 0.1;
    const make = (values: Float32Array) => {
      const variable = tf.variable(tf.tensor1d(values));
      const rated = { name: 'w', kind: 'weight' as const, trainable: true, variable };
      return { variable, optimizer: optimizerFromConfig(cfg, [rated]) };
    };
    const step = (run: ReturnType<typeof make>, i: number) => {
      const gradients = gradientsOf({ w: [Math.sin(i), Math.cos(3 * i)] });
      run.optimizer.step(gradients, 1);
      tf.dispose([...gradients.values()]);
    };
    const whole = make(Float32Array.of(1, -1));
    const first = make(Float32Array.of(1, -1));
    for (let i = 0; i < 10; i++) step(whole, i);
    for (let i = 0; i < 5; i++) step(first, i);
    const second = make((await first.variable.data()) as Float32Array);
    second.optimizer.restore(await first.optimizer.state());
    for (let i = 5; i < 10; i++) step(second, i);
    expect([...(await second.variable.data())]).toEqual([...(await whole.variable.data())]);
    for (const run of [whole, first, second]) {
      run.optimizer.dispose();
      run.variable.dispose();
    }
  });

  it('averages accumulated gradients', async () => {
    const before = tf.memory().numTensors;
    const accumulator = new GradientAccumulator();
    accumulator.add(gradientsOf({ a: [1, 2], b: [3] }));
    accumulator.add(gradientsOf({ a: [3, 6] }));
    expect(accumulator.count).toBe(2);
    const mean = accumulator.take();
    expect([...(await mean.get('a')!.data())]).toEqual([2, 4]);
    expect([...(await mean.get('b')!.data())]).toEqual([1.5]);
    expect(accumulator.count).toBe(0);
    tf.dispose([...mean.values()]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('averages weights, faster at the start, and swaps them in and out', async () => {
    const before = tf.memory().numTensors;
    const w = parameter('w', [1]);
    const average = new WeightAverage([w], 0.9);
    tf.tidy(() => w.variable.assign(tf.tensor1d([12])));
    average.update();
    // (1 + 1) / (10 + 1) = 2/11 of the old, 9/11 of the new.
    average.swap();
    expect((await w.variable.data())[0]).toBeCloseTo(2 / 11 + (12 * 9) / 11, 5);
    average.swap();
    expect((await w.variable.data())[0]).toBe(12);
    average.dispose();
    w.variable.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('rates', () => {
  it('gives frozen parameters no update, and biases of norms the rate of biases', () => {
    const variable = tf.variable(tf.scalar(0));
    const row = (name: string, kind: 'weight' | 'bias' | 'norm' | 'buffer', trainable = true) => ({
      name,
      kind,
      trainable,
      variable,
    });
    const rates = { learningRate: 1, weightDecay: 2, weightDecayNorm: 3, weightDecayBias: 4, biasLearningRateFactor: 5 };
    const all = [
      row('c.weight', 'weight'),
      row('c.bias', 'bias'),
      row('n.weight', 'norm'),
      row('n.bias', 'norm'),
      row('f', 'buffer', false),
    ];
    expect(trainedParameters(all, rates).map((p) => [p.name, p.learningRate, p.weightDecay])).toEqual([
      ['c.weight', 1, 2],
      ['c.bias', 5, 4],
      ['n.weight', 1, 3],
      ['n.bias', 5, 4],
    ]);
    variable.dispose();
  });

  it('reads clipping from the config', () => {
    const cfg = defaultConfig();
    expect(clippingFromConfig(cfg)).toBeUndefined();
    Object.assign(cfg.SOLVER.CLIP_GRADIENTS, { ENABLED: true, CLIP_TYPE: 'full_model', CLIP_VALUE: 0.01, NORM_TYPE: 2 });
    expect(clippingFromConfig(cfg)).toEqual({ kind: 'norm', over: 'model', limit: 0.01, order: 2 });
  });

  it('refuses an end of the cosine above its start', () => {
    const cfg = defaultConfig();
    Object.assign(cfg.SOLVER, { LR_SCHEDULER_NAME: 'WarmupCosineLR', BASE_LR: 0.01, BASE_LR_END: 0.1 });
    expect(() => lrSchedule(cfg)).toThrow(ConfigError);
  });

  it('scales a config for eight GPUs to one device, once', () => {
    const cfg = defaultConfig();
    Object.assign(cfg.SOLVER, {
      REFERENCE_WORLD_SIZE: 8,
      IMS_PER_BATCH: 16,
      BASE_LR: 0.02,
      MAX_ITER: 100,
      STEPS: [60, 80],
      WARMUP_ITERS: 10,
    });
    expect(scaleToProcesses(cfg)).toBe(true);
    expect(scaleToProcesses(cfg)).toBe(false);
    expect(cfg.SOLVER).toMatchObject({ IMS_PER_BATCH: 2, BASE_LR: 0.0025, MAX_ITER: 800, STEPS: [480, 640], WARMUP_ITERS: 80 });
    expect(cfg.SOLVER.REFERENCE_WORLD_SIZE).toBe(1);
    cfg.SOLVER.REFERENCE_WORLD_SIZE = 3;
    expect(() => scaleToProcesses(cfg)).toThrow(/REFERENCE_WORLD_SIZE/);
    cfg.SOLVER.REFERENCE_WORLD_SIZE = 0;
    expect(scaleToProcesses(cfg, 4)).toBe(false);
    expect(cfg.SOLVER.IMS_PER_BATCH).toBe(2);
  });

  it('scales a config for eight GPUs to 32 processes, as Detectron2 does: batch and rate by 4, iterations by a quarter', () => {
    const cfg = defaultConfig();
    const solver = {
      REFERENCE_WORLD_SIZE: 8,
      IMS_PER_BATCH: 16,
      BASE_LR: 0.02,
      MAX_ITER: 100,
      STEPS: [60, 82],
      WARMUP_ITERS: 10,
    };
    Object.assign(cfg.SOLVER, solver);
    expect(scaleToProcesses(cfg, 32)).toBe(true);
    // Halves go to the even number: 10 / 4 and 82 / 4.
    expect(cfg.SOLVER).toMatchObject({ IMS_PER_BATCH: 64, BASE_LR: 0.08, MAX_ITER: 25, WARMUP_ITERS: 2 });
    expect(cfg.SOLVER.STEPS).toEqual([15, 20]);
    expect(cfg.SOLVER.REFERENCE_WORLD_SIZE).toBe(32);
  });

  it('leaves no period 0 that was not, and an iteration at least', () => {
    const cfg = defaultConfig();
    Object.assign(cfg.SOLVER, { REFERENCE_WORLD_SIZE: 1, MAX_ITER: 2, CHECKPOINT_PERIOD: 1 });
    cfg.TEST.EVAL_PERIOD = 2;
    scaleToProcesses(cfg, 8);
    expect(cfg.SOLVER).toMatchObject({ MAX_ITER: 1, CHECKPOINT_PERIOD: 1 });
    expect(cfg.TEST.EVAL_PERIOD).toBe(1);
    cfg.TEST.EVAL_PERIOD = 0;
    scaleToProcesses(cfg, 2);
    expect(cfg.TEST.EVAL_PERIOD).toBe(0);
  });
});

describe('state', () => {
  it('of other parameters is refused, and changes nothing', async () => {
    const [a, b] = [new Sgd([parameter('a', [1])], { momentum: 0.9 }), new Sgd([parameter('b', [1, 2])], { momentum: 0.9 })];
    const state = await a.state();
    expect(() => b.restore(state)).toThrow(CheckpointError);
    expect(() => b.restore(state)).toThrow(/momentum\.b/);
    a.dispose();
    b.dispose();
  });
});
