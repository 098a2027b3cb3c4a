/** Makes the model that ships, from nothing: the data, the backbone, the detector, and the file in half precision. Goes on where it was stopped. */
import { copyFile } from 'node:fs/promises';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { startBackend, type Device } from '../../src/backends/select.js';
import { convertCheckpoint } from '../../src/checkpoint/convert.js';
import { resolveConfig } from '../../src/config/get_config.js';
import { findLastCheckpoint, readTrainingCheckpoint } from '../../src/engine/training_checkpoint.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { makeDemoData } from '../demo_data/demo_data.js';
import { ObjectCrops } from './object_crops.js';
import { pretrainBackbone } from './pretrain_backbone.js';

/** The parts of the recipe: each starts from the weights that the one before it left. */
const PARTS = ['train', 'train_finer'];
const recipe = (part: string): string => fileURLToPath(new URL(`../../weights/emoji/${part}.yaml`, import.meta.url));

const program = new Command('train-emoji')
  .description('Trains the model that ships from random weights; run it again to go on.')
  .argument('[KEY=VALUE...]', 'config keys to set in both parts, such as SOLVER.IMS_PER_BATCH=8')
  .option('--data <dir>', 'what npm run make-demo-data wrote; made first where it is not there', 'demo_data')
  .option('--output <dir>', 'where everything is written', 'emoji_run')
  .option('--device <name>', 'auto, tensorflow, wasm or cpu', 'auto')
  .option('--cycles <n,n>', 'passes over all single objects for the backbone, by cycles of the rate', '4,6');
program.parse();
const { data, output, device, cycles } = program.opts<Record<'data' | 'output' | 'device' | 'cycles', string>>();
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const of = (split: string): { json: string; images: string } => ({
  json: join(data, `${split}.json`),
  images: join(data, split),
});

if (!existsSync(of('held_out_artist').json)) await makeDemoData({ output: data, train: 5000, val: 300, size: 256, seed: 1 });
mkdirSync(output, { recursive: true });
const backbone = join(output, 'backbone.safetensors');
if (!existsSync(backbone)) {
  const { device: used } = await startBackend(device as Device);
  print(`device ${used}: the backbone learns to name single objects`);
  const { config } = resolveConfig(recipe(PARTS[0]), program.args);
  await pretrainBackbone({
    config,
    train: await ObjectCrops.read(of('train').json, of('train').images),
    judged: await ObjectCrops.read(of('val').json, of('val').images),
    cycles: cycles.split(',').map(Number),
    batch: 64,
    side: 48,
    between: [16, 44],
    learningRate: 0.002,
    seed: config.SEED,
    output: backbone,
    print,
  });
}
let weights = backbone;
let folder = output;
for (const part of PARTS) {
  const { config } = resolveConfig(recipe(part), program.args);
  folder = join(output, part);
  const last = await findLastCheckpoint(folder);
  const done = last === undefined ? 0 : (await readTrainingCheckpoint(last)).state.iteration;
  if (done < config.SOLVER.MAX_ITER) {
    const run = await prepareTraining({
      config,
      weights,
      train: of('train'),
      validation: of('val'),
      output: folder,
      device: device as Device,
      resume: last !== undefined,
      print,
    });
    await run.train();
    await run.dispose();
  }
  weights = join(folder, 'model.safetensors');
}
const model = join(output, 'model');
mkdirSync(model, { recursive: true });
const { bytes } = await convertCheckpoint(weights, join(model, 'model.safetensors'), { half: true });
await copyFile(join(folder, 'config.yaml'), join(model, 'config.yaml'));
print(`${model}: ${(bytes.output / 1e6).toFixed(1)} MB`);
