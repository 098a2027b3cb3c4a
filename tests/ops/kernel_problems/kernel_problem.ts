import * as tf from '@tensorflow/tfjs-core';
import type { Module } from '../../../src/layers/module.js';
import { maxDifference } from '../max_difference.js';

/** Numbers with their shape, in the precision of a definition. */
export interface Exact {
  shape: number[];
  values: Float64Array;
}

/** An operation on small inputs, and what it is by definition: the same for every backend, in Node and in browsers. */
export interface KernelProblem {
  /** Shapes and float32 values. */
  inputs: { shape: number[]; values: Float32Array }[];
  /** The operation; or the layer whose parameters, in their order, are all inputs but the first. */
  run: ((...inputs: tf.Tensor[]) => tf.Tensor) | (() => Module & { forward(x: tf.Tensor4D): tf.Tensor });
  isLayer?: true;
  /** Plain loops in double precision; without kinks where the inputs lie. */
  definition(...inputs: Exact[]): Exact;
  /** Without a gradient. */
  forwardOnly?: true;
}

/** Where a problem's inputs come from: repeatable numbers in [-1, 1). */
export function noise(shape: number[], seed: number): { shape: number[]; values: Float32Array } {
  let state = seed;
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) | 0) / 2 ** 31;
  return { shape, values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next) };
}

/** How far an output may be from its definition, and a gradient from central differences of it: sums of up to some hundred products of numbers below 1. */
const TOLERANCE = { value: 1e-5, gradient: 2e-5 };

/** Numbers of each input that the definition is moved along. */
const PROBES = 24;

/** Central differences are exact for what is at most quadratic in one number, and as good as that elsewhere. */
const STEP = 2 ** -12;

/**
 * Runs a problem on the running backend, forward and backward, with the fast and with the repeatable backward pass.
 * @returns what is not as it should be, in words; nothing where all is right
 */
export async function differencesFrom(problem: KernelProblem): Promise<string[]> {
  const found: string[] = [];
  const { inputs, definition } = problem;
  const exact = inputs.map(({ shape, values }): Exact => ({ shape, values: Float64Array.from(values) }));
  const start = tf.memory().numTensors;
  const { tensors, run, dispose } = open(problem);
  const held = tf.memory().numTensors;
  const y = run(...tensors);
  if (tf.memory().numTensors !== held + 1) found.push(`made ${tf.memory().numTensors - held} tensors, expected 1`);
  const wanted = definition(...exact);
  if (y.shape.join() !== wanted.shape.join()) return [...found, `is [${y.shape.join()}], expected [${wanted.shape.join()}]`];
  const off = maxDifference(await y.data(), wanted.values);
  if (!(off < TOLERANCE.value)) found.push(`values are off by ${off}`);
  if (!problem.forwardOnly) found.push(...(await gradientDifferences(problem, exact, tensors, run, y.shape)));
  y.dispose();
  dispose();
  const left = tf.memory().numTensors - start;
  if (left !== 0) found.push(`${left} tensors are left`);
  return found;
}

async function gradientDifferences(
  { definition }: KernelProblem,
  exact: Exact[],
  tensors: tf.Tensor[],
  run: (...inputs: tf.Tensor[]) => tf.Tensor,
  shape: number[],
): Promise<string[]> {
  const found: string[] = [];
  const { values: dy } = noise(shape, 77);
  const slopes = exact.map((_, which) => centralDifferences(definition, exact, which, dy));
  const upstream = tf.tensor(dy.slice(), shape);
  let first: Float32Array[] | undefined;
  for (const [pass, deterministic] of [false, true, true].entries()) {
    tf.env().set('MASKRCNN_DETERMINISTIC', deterministic);
    const gradients = tf.grads(run)(tensors, upstream);
    const read: Float32Array[] = [];
    for (const gradient of gradients) read.push((await gradient.data<'float32'>()).slice());
    tf.dispose(gradients);
    read.forEach((values, which) => {
      if (values.length !== exact[which].values.length) found.push(`the gradient of input ${which} has ${values.length} values`);
      const off = [...slopes[which]].reduce((most, [at, slope]) => Math.max(most, Math.abs(values[at] - slope)), 0);
      if (!(off < TOLERANCE.gradient))
        found.push(`the gradient of input ${which} is off by ${off}${deterministic ? ' where it repeats' : ''}`);
    });
    if (pass === 1) first = read;
    if (pass === 2 && read.some((values, which) => maxDifference(values, first![which]) !== 0))
      found.push('the gradient does not repeat bit by bit');
  }
  tf.env().set('MASKRCNN_DETERMINISTIC', false);
  upstream.dispose();
  return found;
}

/** The slope of the sum of dy times the output, along some numbers of an input, by their index. */
function centralDifferences(
  definition: KernelProblem['definition'],
  inputs: Exact[],
  which: number,
  dy: Float32Array,
): Map<number, number> {
  const slopes = new Map<number, number>();
  const { shape, values } = inputs[which];
  const moved = (at: number, by: number): number => {
    const copy = values.slice();
    copy[at] += by;
    const y = definition(...inputs.map((input, i) => (i === which ? { shape, values: copy } : input)));
    return y.values.reduce((sum, value, i) => sum + value * dy[i], 0);
  };
  for (let at = 0; at < values.length; at += Math.max(1, Math.floor(values.length / PROBES)))
    slopes.set(at, (moved(at, STEP) - moved(at, -STEP)) / (2 * STEP));
  return slopes;
}

/** Brings a problem's inputs to the device. */
function open(problem: KernelProblem): {
  tensors: tf.Tensor[];
  run: (...inputs: tf.Tensor[]) => tf.Tensor;
  dispose: () => void;
} {
  const made = problem.inputs.map(({ shape, values }) => tf.tensor(values.slice(), shape));
  if (!problem.isLayer) {
    const run = problem.run as (...inputs: tf.Tensor[]) => tf.Tensor;
    return { tensors: made, run, dispose: () => tf.dispose(made) };
  }
  const layer = problem.run() as Module & { forward(x: tf.Tensor4D): tf.Tensor };
  const variables = layer.modelParameters().map(({ variable }) => variable);
  variables.forEach((variable, i) => variable.assign(made[i + 1]));
  tf.dispose(made.slice(1));
  return {
    tensors: [made[0], ...variables],
    run: (x) => layer.forward(x as tf.Tensor4D),
    dispose: () => {
      made[0].dispose();
      layer.dispose();
    },
  };
}
