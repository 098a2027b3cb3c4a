/**
 * Trains and predicts with Multi-task Network Cascades:
 *
 *   npx tsx projects/mnc/run.ts train CONFIG TRAIN.json PICTURES OUTPUT [VAL.json PICTURES] [KEY=VALUE ...]
 *   npx tsx projects/mnc/run.ts predict MODEL_FOLDER PICTURE OUTPUT.png
 *
 * CONFIG is any Mask R-CNN on a pyramid; its heads are replaced. MODEL.WEIGHTS=FILE starts the layers that it has from a file.
 */
import { getConfig } from '../../src/config/index.js';
import { Predictor } from '../../src/engine/predictor.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { registerMnc } from './mnc_heads.js';

const [verb, ...all] = process.argv.slice(2);
const values = all.filter((argument) => !/^[A-Z_0-9.]+=/.test(argument));
const overrides = all.filter((argument) => !values.includes(argument));
registerMnc();

if (verb === 'train' && (values.length === 4 || values.length === 6)) {
  const [source, json, images, output, valJson, valImages] = values;
  const config = getConfig(source, [
    ...['MODEL.ROI_HEADS.NAME=MNCHeads', 'MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION=14'],
    ...overrides,
  ]);
  const validation = valJson && valImages ? { validation: { json: valJson, images: valImages } } : {};
  const weights = config.MODEL.WEIGHTS ? { weights: config.MODEL.WEIGHTS } : {};
  const run = await prepareTraining({ config, ...weights, train: { json, images }, ...validation, output, print: console.log });
  const outcome = await run.train();
  await run.dispose();
  process.exitCode = outcome.finished ? 0 : 1;
} else if (verb === 'predict' && values.length === 3) {
  const [folder, picture, output] = values;
  const predictor = await Predictor.load(folder);
  const found = await predictor.predict(picture);
  for (const { className, score, box, mask } of found) console.log(JSON.stringify({ className, score, box, area: mask?.area() }));
  await found.draw().toFile(output);
  predictor.dispose();
} else {
  console.error(
    'usage: run.ts train CONFIG TRAIN.json PICTURES OUTPUT [VAL.json PICTURES] [KEY=VALUE ...] | predict MODEL_FOLDER PICTURE OUTPUT.png',
  );
  process.exitCode = 2;
}
