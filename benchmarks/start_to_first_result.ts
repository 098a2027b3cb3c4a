// How long a fresh process takes until its first result, with the model that ships; prints one JSON line per device.
// npm run bench -- start_to_first_result [--backend wasm|cpu|tensorflow] [--runs 5]; needs `npm run build`, for users run the built files.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { median } from './median.js';
import { option } from './script_options.js';

interface Start {
  imported: number;
  loaded: number;
  first_result: number;
  cpu_loaded: number;
  cpu_first_result: number;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
if (!existsSync(here('../dist/index.js')))
  throw new Error('start_to_first_result: dist is not there. Run `npm run build` first.');
const backend = option('--backend', 'auto');
const runs = Number(option('--runs', '5'));
for (const device of backend === 'auto' ? ['wasm', 'cpu'] : [backend]) {
  const args = [here('./start_child.mjs'), here('../weights/emoji'), here('../examples/images/emoji_1.jpg'), device];
  const starts = Array.from({ length: runs }, () => {
    const printed = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return JSON.parse(printed.trim().split('\n').at(-1)!) as Start;
  });
  const middle = (key: keyof Start): number => Math.round(median(starts.map((start) => start[key])));
  console.log(
    JSON.stringify({
      name: 'start_to_first_result',
      input: 'the shipped model, examples/images/emoji_1.jpg, a process of its own',
      backend: device,
      imported_ms: middle('imported'),
      ready_to_predict_ms: middle('loaded'),
      first_result_ms: middle('first_result'),
      // What the process itself computed: on a busy machine the honest figure.
      cpu_ready_ms: middle('cpu_loaded'),
      cpu_first_result_ms: middle('cpu_first_result'),
      limit_ready_ms: 1000,
      load_average: Number(loadavg()[0].toFixed(1)),
      runs,
    }),
  );
}
