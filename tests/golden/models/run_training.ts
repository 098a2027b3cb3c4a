import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { lossGradients, type LossGradients } from '../../../src/engine/loss_gradients.js';
import { lrSchedule } from '../../../src/engine/solver/lr_schedule.js';
import { optimizerFromConfig } from '../../../src/engine/solver/optimizer.js';
import { Random } from '../../../src/data/random.js';
import { ConfigError } from '../../../src/errors.js';
import type { ModelParameter } from '../../../src/layers/module.js';
import { givenOrder } from '../../given_order.js';
import { compareTensor, compareValues, unsupported, type Line } from '../compare.js';
import type { HostTensor } from '../layout.js';
import { SafetensorsFile } from '../safetensors_file.js';
import { NOT_YET, Unsupported } from '../unsupported.js';
import type { GoldenEntry } from './compare_traced.js';
import { moveByLastPlace } from './last_place.js';
import { openTraining, type TrainingCase } from './training_case.js';

type Add = (line: Line) => void;

/** Bounds of the goldens' README: losses of the first step, and after weights were changed; the norms follow the losses. */
const FIRST_STEP = 1e-4;
const LATER_STEPS = 1e-3;

/** What a folder's manifest says about tensors of training, and where they are. */
class StoredTensors {
  private readonly entries: Record<string, GoldenEntry>;
  private readonly file: SafetensorsFile;

  constructor(folder: string) {
    const manifest = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as { tensors: Record<string, GoldenEntry> };
    this.entries = manifest.tensors;
    this.file = new SafetensorsFile(join(folder, 'golden.safetensors'));
  }

  names(prefix: string): string[] {
    return Object.keys(this.entries)
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length));
  }

  compare(caseName: string, prefix: string, name: string, actual: HostTensor): Line {
    const full = `${prefix}${name}`;
    const { exact, atol } = this.entries[full];
    const where = { case: caseName, name: full.slice('train.'.length) };
    return compareTensor(where, actual, this.file.get(full), { abs: exact ? 0 : (atol ?? 0) });
  }
}

/**
 * How many training steps the draws may take together. A run of eight steps meets a handful of decisions that rounding alone takes, and a draw ends
 * with its first miss: where the recorded run itself stands on the other side of a bound than double precision does, one draw in fifty agrees.
 */
const STEPS_OF_DRAWS = 400;

/**
 * Eight training steps of a golden folder: labels, sampled regions, losses, gradients, and the weights afterwards.
 *
 * Training decides: which side of zero a rectifier's input lies on, whether an overlap reaches a threshold. Where such a number is within rounding
 * of its bound the recorded run took one side by the order of its sums, and ours may take the other; values then miss though nothing is wrong. So a
 * run that misses is repeated from weights moved by at most one unit in their last place, and the case holds if one such run has every value within
 * its recorded tolerance, from the first label to the last weight. The lines say so. An error of ours does not go away with the last place.
 */
export async function runTraining(folder: string, name: string, add: Add): Promise<void> {
  const caseName = `${name}/train`;
  let opened: TrainingCase;
  try {
    opened = await openTraining(folder);
  } catch (error) {
    if (error instanceof ConfigError || error instanceof Unsupported) return add(unsupported(caseName, '*', error.message));
    throw error;
  }
  const stored = new StoredTensors(folder);
  const { model } = opened;
  try {
    const start = await startOf(model);
    const { lines } = await train(opened, stored, caseName);
    const missed = new Map(lines.filter((line) => line.ok === false).map((line) => [line.name, line]));
    let left = missed.size > 0 ? STEPS_OF_DRAWS : 0;
    for (let draw = 1; left > 0; draw++) {
      restart(model, start, new Random(draw));
      const moved = await train(opened, stored, caseName, { untilMiss: true });
      left -= moved.steps;
      if (moved.lines.some((line) => line.ok === false)) continue;
      for (const line of moved.lines) {
        const miss = missed.get(line.name);
        add(
          miss
            ? { ...line, note: `draw ${draw} of weights moved by one unit in the last place; unmoved ${describeMiss(miss)}` }
            : line,
        );
      }
      return;
    }
    for (const line of lines) add(line);
  } finally {
    model.dispose();
  }
}

const describeMiss = ({ maxAbs, maxRel, note }: Line): string =>
  `off by ${maxAbs?.toExponential(1) ?? '?'}, relatively ${maxRel?.toExponential(1) ?? '?'}${note ? `: ${note}` : ''}`;

/** What a training starts from. */
interface Start {
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly state: unknown;
}

async function startOf(model: TrainingCase['model']): Promise<Start> {
  const weights = new Map<string, Float32Array>();
  for (const parameter of model.modelParameters()) weights.set(parameter.name, await parameter.get());
  return { weights, state: model.trainingState };
}

function restart(model: TrainingCase['model'], { weights, state }: Start, random: Random): void {
  for (const parameter of model.modelParameters()) parameter.set(moveByLastPlace(weights.get(parameter.name)!, random));
  if (state !== undefined) model.restoreTrainingState(state);
}

async function train(
  { cfg, model, samples, train: recorded }: TrainingCase,
  stored: StoredTensors,
  caseName: string,
  { untilMiss = false } = {},
): Promise<{ lines: Line[]; steps: number }> {
  const lines: Line[] = [];
  const add = (line: Line): void => void lines.push(line);
  const parameters = new Map(model.modelParameters().map((parameter) => [parameter.name, parameter]));
  const optimizer = optimizerFromConfig(cfg, [...parameters.values()]);
  const schedule = lrSchedule(cfg);
  let steps = 0;
  try {
    const frozen = [...parameters.values()].filter(({ kind, trainable }) => kind !== 'buffer' && !trainable);
    const names = frozen.map((parameter) => parameter.name).sort();
    add(compareValues({ case: caseName, name: 'frozen_parameters' }, names, [...recorded.frozen_parameters].sort(), { abs: 0 }));
    for (const step of recorded.steps) {
      const traced = new Map<string, HostTensor>();
      const trace = (tensor: string, data: HostTensor['data'], shape: readonly number[]): void => {
        traced.set(tensor, { shape: [...shape], data });
      };
      const result = await lossGradients(model, samples, givenOrder, { trace });
      steps++;
      const isFirst = step.iter === 0;
      const tolerance = { abs: 0, rel: isFirst ? FIRST_STEP : LATER_STEPS };
      add(compareValues({ case: caseName, name: `steps.${step.iter}.losses` }, result.losses, step.losses, tolerance));
      if (isFirst) {
        for (const tensor of stored.names('train.').filter((stage) => !/^(grad|final)\./.test(stage))) {
          const actual = traced.get(tensor);
          if (actual) add(stored.compare(caseName, 'train.', tensor, actual));
          else add(unsupported(caseName, tensor, `the training step does not give this tensor: ${NOT_YET}`));
        }
        await compareGradients(caseName, recorded.grad_l2_norms_iter0, result, parameters, stored, add);
      }
      const norms = await gradientNorms(result);
      const norm = Math.hypot(...Object.values(norms));
      add(compareValues({ case: caseName, name: `steps.${step.iter}.grad_norm_all` }, norm, step.grad_norm_all, tolerance));
      const rate = cfg.SOLVER.BASE_LR * schedule(step.iter);
      add(compareValues({ case: caseName, name: `steps.${step.iter}.lr` }, rate, step.lr, { abs: 1e-9 }));
      optimizer.step(result.gradients, schedule(step.iter));
      tf.dispose([...result.gradients.values()]);
      if (untilMiss && lines.some((line) => line.ok === false)) return { lines, steps };
    }
    for (const parameter of stored.names('train.final.')) {
      const actual = await hostTensor(parameters.get(parameter)!);
      add(stored.compare(caseName, 'train.final.', parameter, actual));
    }
  } finally {
    optimizer.dispose();
  }
  return { lines, steps };
}

async function compareGradients(
  caseName: string,
  norms: Record<string, number>,
  result: LossGradients,
  parameters: ReadonlyMap<string, ModelParameter>,
  stored: StoredTensors,
  add: Add,
): Promise<void> {
  for (const name of stored.names('train.grad.')) {
    const parameter = parameters.get(name)!;
    // The parameter's own conversion to Detectron2's layout serves its gradient too.
    const weights = await parameter.get();
    parameter.variable.assign(result.gradients.get(name)! as tf.Tensor<tf.Rank>);
    add(stored.compare(caseName, 'train.grad.', name, await hostTensor(parameter)));
    parameter.set(weights);
  }
  const ours = await gradientNorms(result);
  // A norm that is tiny beside the largest is rounding noise.
  const largest = Math.max(...Object.values(norms));
  const tolerance = { abs: 1e-6 * largest, rel: FIRST_STEP };
  add(compareValues({ case: caseName, name: 'grad_l2_norms_iter0' }, ours, norms, tolerance));
}

async function gradientNorms({ gradients }: LossGradients): Promise<Record<string, number>> {
  const norms: Record<string, number> = {};
  for (const [name, gradient] of gradients) {
    let sum = 0;
    for (const value of await gradient.data()) sum += value * value;
    norms[name] = Math.sqrt(sum);
  }
  return norms;
}

async function hostTensor(parameter: ModelParameter): Promise<HostTensor> {
  return { shape: parameter.shape, data: await parameter.get() };
}
