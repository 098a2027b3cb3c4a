// Memory over 200 predictions in a row, with the model that ships; prints one JSON line, fails where it grows by more than 5 %.
// npm run bench -- predict_memory [--backend wasm|cpu|tensorflow] [--runs 200]; needs `npm run build`, for users run the built files.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { reportMemory } from './memory_line.js';
import { option } from './script_options.js';

/** The first ones fill caches, pools and the compiler's heap: not counted. */
const WARM_UP = 20;
/** Predictions whose memory is taken together. */
const WINDOW = 20;

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const runs = Number(option('--runs', '200'));
const args = [here('./predict_memory_child.mjs'), here('../weights/emoji'), here('../examples/images/emoji_1.jpg')];
const printed = execFileSync(process.execPath, [...args, option('--backend', 'auto'), String(WARM_UP + runs)], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
});
const child = JSON.parse(printed.trim().split('\n').at(-1)!) as { device: string; rss_mb: number[]; tensors: number[] };
const rss = child.rss_mb.slice(WARM_UP);
const newTensors = child.tensors.at(-1)! - child.tensors[WARM_UP]!;
reportMemory({
  name: 'predict_memory',
  input: `${runs} predictions after ${WARM_UP}, the shipped model`,
  backend: child.device,
  rss,
  window: WINDOW,
  newTensors,
});
