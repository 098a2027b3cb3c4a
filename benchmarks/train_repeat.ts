// How far the losses of two training runs of one seed part, as `maskrcnn train` makes them, with a very small model; prints one JSON line.
// npm run bench -- train_repeat [--backend wasm|cpu|tensorflow] [--runs 50]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { Device } from '../src/backends/select.js';
import { parseConfig } from '../src/config/index.js';
import { prepareTraining } from '../src/engine/training_run.js';
import { SMALLEST_CONFIG, writeTinyData } from '../tests/cli/tiny_data.js';
import { option } from './script_options.js';

const iterations = Number(option('--runs', '50'));
const folder = mkdtempSync(join(tmpdir(), 'train-repeat-'));
const { json, images } = writeTinyData(folder);
const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', [`SOLVER.MAX_ITER=${iterations}`, 'SEED=3']);

async function losses(name: string): Promise<number[]> {
  const found: number[] = [];
  const run = await prepareTraining({
    config,
    weights: 'none',
    train: { json, images },
    output: join(folder, name),
    device: option('--backend', 'auto') as Device,
    hooks: [{ afterStep: (_, { totalLoss }) => void found.push(totalLoss) }],
  });
  await run.train();
  await run.dispose();
  return found;
}

const first = await losses('first');
const second = await losses('second');
rmSync(folder, { recursive: true });
const apart = first.map((loss, i) => Math.abs(loss - second[i]!) / Math.abs(loss));
const most = (count: number): number => Number(Math.max(...apart.slice(0, count)).toExponential(1));
console.log(
  JSON.stringify({
    name: 'train_repeat',
    input: `two runs of ${iterations} iterations with one seed, ResNet-18-FPN of 8 channels on 64x64; relative difference of the total loss`,
    backend: tf.getBackend(),
    most_of_first_10: most(10),
    most_of_all: most(iterations),
    equal: apart.every((difference) => difference === 0),
  }),
);
