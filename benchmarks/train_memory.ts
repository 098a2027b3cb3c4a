// Memory over 1000 training iterations in a row as `maskrcnn train` makes them (loader, log, checkpoints), with a very small model; prints one JSON line.
// npm run bench -- train_memory [--backend wasm|cpu|tensorflow] [--runs 1000]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { Device } from '../src/backends/select.js';
import { parseConfig } from '../src/config/index.js';
import { prepareTraining } from '../src/engine/training_run.js';
import { SMALLEST_CONFIG, writeTinyData } from '../tests/cli/tiny_data.js';
import { reportMemory } from './memory_line.js';
import { option } from './script_options.js';

const WARM_UP = 200;
/** Iterations whose memory is taken together. */
const WINDOW = 100;

const runs = Number(option('--runs', '1000'));
const device = option('--backend', 'auto') as Device;
const folder = mkdtempSync(join(tmpdir(), 'train-memory-'));
const { json, images } = writeTinyData(folder);
const overrides = [`SOLVER.MAX_ITER=${WARM_UP + runs}`, 'SOLVER.CHECKPOINT_PERIOD=100'];
const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', overrides);
const rss: number[] = [];
let [tensors, newTensors] = [0, 0];
const run = await prepareTraining({
  config,
  weights: 'none',
  train: { json, images },
  output: join(folder, 'run'),
  device,
  hooks: [
    {
      afterStep({ iteration }) {
        if (iteration === WARM_UP) tensors = tf.memory().numTensors;
        if (iteration > WARM_UP) {
          rss.push(process.memoryUsage.rss() / 1e6);
          newTensors = Math.max(newTensors, tf.memory().numTensors - tensors);
        }
      },
    },
  ],
});
await run.train();
await run.dispose();
rmSync(folder, { recursive: true });
reportMemory({
  name: 'train_memory',
  input: `${runs} iterations after ${WARM_UP}, ResNet-18-FPN of 8 channels on 64x64`,
  backend: tf.getBackend(),
  rss,
  window: WINDOW,
  newTensors,
});
