// Memory over 200 predictions in a row, after a warm-up, with the model that ships; prints one JSON line.
// npm run bench -- predict_memory [--backend wasm|cpu|tensorflow] [--runs 200]
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import type { Device } from '../src/backends/select.js';
import { Predictor } from '../src/engine/predictor.js';
import { median } from './median.js';
import { option } from './script_options.js';

const WARM_UP = 50;
/** Predictions whose memory is taken together: the collector's saw-tooth is longer than one. */
const WINDOW = 25;
const LIMIT = 0.05;

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const runs = Number(option('--runs', '200'));
const predictor = await Predictor.load(here('../weights/shapes'), { device: option('--backend', 'auto') as Device });
const image = here('../examples/images/shapes_1.png');
const rss: number[] = [];
let tensors = 0;
for (let i = 0; i < WARM_UP + runs; i++) {
  const result = await predictor.predict(image);
  result.toCoco({ imageId: i });
  if (i === WARM_UP - 1) tensors = tf.memory().numTensors;
  if (i >= WARM_UP) rss.push(process.memoryUsage.rss() / 1e6);
}
const first = median(rss.slice(0, WINDOW));
const last = median(rss.slice(-WINDOW));
const growth = last / first - 1;
const newTensors = tf.memory().numTensors - tensors;
console.log(
  JSON.stringify({
    name: 'predict_memory',
    input: `${runs} predictions after ${WARM_UP}, the shipped model; medians of the first and the last ${WINDOW}`,
    backend: predictor.device,
    rss_first_mb: Math.round(first),
    rss_last_mb: Math.round(last),
    rss_most_mb: Math.round(Math.max(...rss)),
    growth: Number(growth.toFixed(4)),
    limit: LIMIT,
    new_tensors: newTensors,
    runs,
  }),
);
predictor.dispose();
if (growth > LIMIT || newTensors !== 0) process.exitCode = 1;
