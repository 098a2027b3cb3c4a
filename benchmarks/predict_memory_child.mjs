// Predictions in a row in a plain process: `node predict_memory_child.mjs MODEL IMAGE DEVICE COUNT`. Prints the resident memory after each, as JSON.
import * as tf from '@tensorflow/tfjs-core';
import { Predictor } from '../dist/index.js';

const [model, image, device, count] = process.argv.slice(2);
const predictor = await Predictor.load(model, { device });
const rss_mb = [];
const tensors = [];
for (let i = 0; i < Number(count); i++) {
  const result = await predictor.predict(image);
  result.toCoco({ imageId: i });
  rss_mb.push(process.memoryUsage.rss() / 1e6);
  tensors.push(tf.memory().numTensors);
}
console.log(JSON.stringify({ device: predictor.device, rss_mb, tensors }));
