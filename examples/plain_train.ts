/**
 * A whole training loop without the Trainer, to copy and own:
 *
 *   npx tsx examples/plain_train.ts CONFIG ANNOTATIONS.json PICTURES_FOLDER OUTPUT.safetensors [ITERATIONS] [DEVICE]
 */
import { dispose } from '@tensorflow/tfjs-core';
import { startBackend, type Device } from '../src/backends/select.js';
import { getConfig } from '../src/config/index.js';
import { trainSamplesFromConfig } from '../src/data/loader/index.js';
import { Random } from '../src/data/random.js';
import { lossGradients } from '../src/engine/loss_gradients.js';
import { lrSchedule } from '../src/engine/solver/lr_schedule.js';
import { optimizerFromConfig } from '../src/engine/solver/optimizer.js';
import { writeModelFile } from '../src/engine/training_checkpoint.js';
import { initializeWeights } from '../src/layers/weight_init.js';
import { GeneralizedRcnn } from '../src/meta_arch/generalized_rcnn.js';

const [source, json, images, output, iterations = '10', device = 'auto'] = process.argv.slice(2);
if (!source || !json || !images || !output) {
  console.error('usage: plain_train.ts CONFIG ANNOTATIONS.json PICTURES_FOLDER OUTPUT.safetensors [ITERATIONS] [DEVICE]');
  process.exit(2);
}

await startBackend(device as Device);
const config = getConfig(source);
config.SOLVER.MAX_ITER = Number(iterations);
const seed = Math.max(config.SEED, 0);

// Pictures with their objects, augmented, in batches, forever.
const loader = await trainSamplesFromConfig(config, { json, images, seed });
const { classes, categoryIds } = loader.dataset;
config.MODEL.ROI_HEADS.NUM_CLASSES = classes.length;

// A model with random weights; `loadCheckpoint` gives it those of a file.
const random = new Random(seed);
const model = GeneralizedRcnn.fromConfig(config);
const parameters = model.modelParameters();
initializeWeights(parameters, () => random.next());

const optimizer = optimizerFromConfig(config, parameters);
const factor = lrSchedule(config);

for (let iteration = 0; iteration < config.SOLVER.MAX_ITER; iteration++) {
  const { value: batch } = await loader.next();
  const { losses, gradients } = await lossGradients(model, batch, random.fork(iteration));
  const total = Object.values(losses).reduce((a, b) => a + b, 0);
  if (!Number.isFinite(total)) throw new Error(`iteration ${iteration}: ${JSON.stringify(losses)}`);
  optimizer.step(gradients, factor(iteration));
  dispose([...gradients.values()]);
  console.log(JSON.stringify({ iteration, total, ...losses }));
}

await writeModelFile(output, parameters, { config, classNames: classes, categoryIds: [...categoryIds.keys()] });
optimizer.dispose();
model.dispose();
await loader.close();
