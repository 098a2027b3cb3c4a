// One picture from a fresh process: `node start_child.mjs MODEL IMAGE DEVICE`. Prints milliseconds since the process began, as JSON.
import { performance } from 'node:perf_hooks';
import { Predictor } from '../dist/index.js';

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
// performance.now() counts from the start of the process.
const imported = performance.now();
const [model, image, device] = process.argv.slice(2);
const predictor = await Predictor.load(model, { device });
const loaded = performance.now();
const cpu_loaded = cpu();
await predictor.predict(image);
console.log(JSON.stringify({ imported, loaded, first_result: performance.now(), cpu_loaded, cpu_first_result: cpu() }));
