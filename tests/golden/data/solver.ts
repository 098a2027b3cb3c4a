import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { clipGradients, clippingFromConfig, normOf } from '../../../src/engine/solver/clip_gradients.js';
import { lrSchedule } from '../../../src/engine/solver/lr_schedule.js';
import { optimizerFromConfig } from '../../../src/engine/solver/optimizer.js';
import { ratesFromConfig, trainedParameters, type RatedParameter } from '../../../src/engine/solver/trained_parameter.js';
import { defaultConfig } from '../../../src/config/merge.js';
import type { Config } from '../../../src/config/index.js';
import { compareNumbers, type Line } from '../compare.js';
import { SafetensorsFile } from '../safetensors_file.js';
import { readJson } from './json_file.js';

type Solver = Record<string, unknown>;

interface OptimizerCase {
  name: string;
  solver: Solver;
  clip_gradients: Solver | null;
  per_parameter: Record<string, { initial_lr: number; weight_decay: number }>;
  lr_factor: number[];
}

interface OptimizerFile {
  norm_modules: string[];
  steps: number;
  cases: OptimizerCase[];
  clip_vectors: ({ grads: number[][]; clip_value: number } & Record<string, unknown>)[];
}

type Add = (line: Line) => void;

/** Learning rates of every iteration, SGD with given gradients, clipping. */
export async function runSolver(folder: string, caseName: string, add: Add): Promise<void> {
  schedules(folder, caseName, add);
  const json = readJson<OptimizerFile>(folder, 'optimizer.json');
  const file = new SafetensorsFile(join(folder, 'sgd.safetensors'));
  for (const c of json.cases) await runOptimizer(c, json, file, caseName, add);
  for (const [i, vector] of json.clip_vectors.entries()) await clipVector(vector, `${caseName}/clip_vectors.${i}`, add);
}

/** The default config with some keys of its SOLVER replaced. */
export function solverConfig(solver: Solver, clip: Solver | null = null): Config {
  const cfg = defaultConfig();
  Object.assign(cfg.SOLVER, solver);
  if (clip) Object.assign(cfg.SOLVER.CLIP_GRADIENTS, clip);
  if ((cfg.SOLVER.CLIP_GRADIENTS.NORM_TYPE as unknown) === 'Infinity') cfg.SOLVER.CLIP_GRADIENTS.NORM_TYPE = Infinity;
  return cfg;
}

function schedules(folder: string, caseName: string, add: Add): void {
  if (!existsSync(join(folder, 'lr_schedules.json'))) return;
  const { schedules: all } = readJson<{ schedules: { name: string; solver: Solver }[] }>(folder, 'lr_schedules.json');
  const file = new SafetensorsFile(join(folder, 'lr_schedules.safetensors'));
  for (const { name, solver } of all) {
    const cfg = solverConfig(solver);
    const factor = lrSchedule(cfg);
    const expected = file.get(name).data;
    const rates = Array.from(expected, (_, i) => cfg.SOLVER.BASE_LR * factor(i));
    add(compareNumbers({ case: caseName, name: `lr/${name}` }, rates, expected, { abs: 0, rel: 1e-9 }));
  }
}

async function runOptimizer(
  c: OptimizerCase,
  { norm_modules: norms, steps }: OptimizerFile,
  file: SafetensorsFile,
  caseName: string,
  add: Add,
): Promise<void> {
  const cfg = solverConfig(c.solver, c.clip_gradients);
  const names = Object.keys(c.per_parameter);
  const parameters: RatedParameter[] = names.map((name) => {
    const { shape, data } = file.get(`init/${name}`);
    const kind = norms.includes(name.split('.')[0]!) ? 'norm' : name.endsWith('bias') ? 'bias' : 'weight';
    return {
      name,
      kind,
      trainable: true,
      variable: tf.tidy(() => tf.variable(tf.tensor(data as Float32Array, shape, 'float32'))),
    };
  });
  const where = (name: string) => ({ case: `${caseName}/${c.name}`, name });
  const trained = trainedParameters(parameters, ratesFromConfig(cfg));
  const tight = { abs: 0, rel: 1e-12 };
  const settings = names.map((name) => c.per_parameter[name]!);
  const rates = trained.map((p) => p.learningRate);
  add(
    compareNumbers(
      where('initial_lr'),
      rates,
      Array.from(settings, (s) => s.initial_lr),
      tight,
    ),
  );
  const decays = trained.map((p) => p.weightDecay);
  add(
    compareNumbers(
      where('weight_decay'),
      decays,
      Array.from(settings, (s) => s.weight_decay),
      tight,
    ),
  );
  const factor = lrSchedule(cfg);
  const factors = c.lr_factor.map((_, i) => factor(i));
  add(compareNumbers(where('lr_factor'), factors, c.lr_factor, { abs: 0, rel: 1e-9 }));
  const optimizer = optimizerFromConfig(cfg, parameters);
  const clipping = clippingFromConfig(cfg);
  const weights: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  const clipped: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let step = 0; step < steps; step++) {
    const gradients = new Map(names.map((name) => [name, row(file, `grad/${name}`, step)]));
    if (clipping) {
      for (const [name, gradient] of clipGradients(gradients, clipping)) {
        clipped[name]!.push(...(await gradient.data()));
        gradient.dispose();
      }
    }
    optimizer.step(gradients, c.lr_factor[step]!);
    tf.dispose([...gradients.values()]);
    for (const { name, variable } of parameters) weights[name]!.push(...(await variable.data()));
  }
  for (const name of names) {
    add(compareNumbers(where(`param/${name}`), weights[name]!, file.get(`${c.name}/param/${name}`).data, { abs: 1e-5 }));
    const golden = `${c.name}/clipped_grad/${name}`;
    if (file.has(golden))
      add(compareNumbers(where(`clipped_grad/${name}`), clipped[name]!, file.get(golden).data, { abs: 1e-7, rel: 1e-5 }));
  }
  optimizer.dispose();
  for (const { variable } of parameters) variable.dispose();
}

function row(file: SafetensorsFile, name: string, step: number): tf.Tensor {
  const { shape, data } = file.get(name);
  const size = data.length / shape[0]!;
  return tf.tensor(data.subarray(step * size, (step + 1) * size) as Float32Array, shape.slice(1), 'float32');
}

async function clipVector(vector: OptimizerFile['clip_vectors'][number], caseName: string, add: Add): Promise<void> {
  const gradients = new Map(vector.grads.map((values, i) => [String(i), tf.tensor1d(values)]));
  const limit = vector.clip_value;
  const tolerance = { abs: 1e-9, rel: 1e-5 };
  const compare = async (name: string, clipping: Parameters<typeof clipGradients>[1]): Promise<void> => {
    const ours: number[] = [];
    for (const tensor of clipGradients(gradients, clipping).values()) {
      ours.push(...(await tensor.data()));
      tensor.dispose();
    }
    add(compareNumbers({ case: caseName, name }, ours, (vector[name] as number[][]).flat(), tolerance));
  };
  await compare('value', { kind: 'value', limit });
  for (const [name, order] of [
    ['norm_1.0', 1],
    ['norm_2.0', 2],
    ['norm_inf', Infinity],
  ] as const) {
    await compare(`${name}_per_parameter`, { kind: 'norm', over: 'parameter', limit, order });
    await compare(`${name}_full_model`, { kind: 'norm', over: 'model', limit, order });
    const all = tf.concat([...gradients.values()]);
    const total = normOf(all, order);
    add(
      compareNumbers(
        { case: caseName, name: `${name}_total` },
        await total.data(),
        [vector[`${name}_total`] as number],
        tolerance,
      ),
    );
    tf.dispose([all, total]);
  }
  tf.dispose([...gradients.values()]);
}
