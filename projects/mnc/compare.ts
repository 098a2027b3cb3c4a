/**
 * Trains Multi-task Network Cascades and a Mask R-CNN of the same number of parameters alike, on the demo data (`npm run make-demo-data`), and prints a table:
 *
 *   npx tsx projects/mnc/compare.ts DEMO_DATA OUTPUT [KEY=VALUE ...]
 *
 * Both begin with the bottom-up layers of the model that ships, heads and pyramid with random weights. Goes on where it was stopped.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBackend } from '../../src/backends/select.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { writeFileAtomic } from '../../src/atomic_file.js';
import { type Config, getConfig } from '../../src/config/index.js';
import { findLastCheckpoint } from '../../src/engine/training_checkpoint.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { registerMnc } from './mnc_heads.js';
import { asCascade, countParameters } from './same_size.js';

const [data, output, ...overrides] = process.argv.slice(2);
if (!data || !output) {
  console.error('usage: compare.ts DEMO_DATA OUTPUT [KEY=VALUE ...]');
  process.exit(2);
}
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const of = (split: string) => ({ json: join(data, `${split}.json`), images: join(data, split) });

await mkdir(output, { recursive: true });
const weights = join(output, 'backbone.safetensors');
if (!existsSync(weights)) {
  const { tensors } = await readCheckpoint(here('../../weights/emoji/model.safetensors'));
  const kept = [...tensors].filter(([name]) => name.startsWith('backbone.bottom_up.'));
  await writeSafetensors(
    weights,
    new Map(kept.map(([name, tensor]) => [name, { shape: tensor.shape, dtype: 'F32', data: () => tensor.toFloat32() }])),
  );
}

registerMnc();
await startBackend('auto');
const maskRcnn = getConfig(here('demo.yaml'), overrides);
const models: [name: string, folder: string, config: Config][] = [
  ['Multi-task Network Cascades', 'mnc', asCascade(maskRcnn)],
  ['Mask R-CNN', 'mask_rcnn', maskRcnn],
];
const rows: string[] = [];
for (const [name, folder, config] of models) {
  const parameters = countParameters(config);
  console.log(`${name}: ${parameters} parameters`);
  const run = await prepareTraining({
    ...{ config, weights, train: of('train'), validation: of('val'), output: join(output, folder) },
    resume: (await findLastCheckpoint(join(output, folder))) !== undefined,
    print: console.log,
  });
  await run.train();
  await run.dispose();
  const lines = (await readFile(join(output, folder, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const last = lines.map((line) => JSON.parse(line) as Record<string, number>).findLast((line) => 'segm/AP' in line)!;
  const numbers = ['bbox/AP', 'bbox/AP50', 'bbox/AP75', 'segm/AP', 'segm/AP50', 'segm/AP75'].map((key) => last[key].toFixed(1));
  rows.push(`| ${name} | ${(parameters / 1e6).toFixed(2)} M | ${numbers.join(' | ')} |`);
}
const table = ['| | parameters | box AP | AP50 | AP75 | mask AP | AP50 | AP75 |', `|${'---|'.repeat(8)}`, ...rows].join('\n');
await writeFileAtomic(join(output, 'table.md'), `${table}\n`);
console.log(table);
