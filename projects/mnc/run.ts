/**
 * Trains and predicts with Multi-task Network Cascades:
 *
 *   npx tsx projects/mnc/run.ts train CONFIG TRAIN.json PICTURES OUTPUT [VAL.json PICTURES] [--device DEVICE] [KEY=VALUE ...]
 *   npx tsx projects/mnc/run.ts predict MODEL_FOLDER PICTURE OUTPUT.png [--device DEVICE]
 *
 * CONFIG is any Mask R-CNN on a pyramid; its heads are replaced by ones of the same number of parameters. MODEL.WEIGHTS=FILE starts the layers that it has from a
 * file; MODEL.ROI_BOX_HEAD.FC_DIM=N makes the heads of another width.
 */
import { parseArgs } from 'node:util';
import { type Device, startBackend } from '../../src/backends/select.js';
import { applyOverrides, getConfig } from '../../src/config/index.js';
import { readCocoDataset } from '../../src/data/coco/read_coco.js';
import { Predictor } from '../../src/engine/predictor.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { registerMnc } from './mnc_heads.js';
import { asCascade, countParameters } from './same_size.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { device: { type: 'string', default: 'auto' } },
});
const device = flags.device as Device;
const [verb, ...all] = positionals;
const overrides = all.filter((argument) => /^[A-Z_0-9.]+=/.test(argument));
const values = all.filter((argument) => !overrides.includes(argument));
registerMnc();

if (verb === 'train' && (values.length === 4 || values.length === 6)) {
  const [source, json, images, output, valJson, valImages] = values;
  const maskRcnn = getConfig(source, overrides);
  maskRcnn.MODEL.ROI_HEADS.NUM_CLASSES = (await readCocoDataset(json)).categories.length;
  await startBackend(device);
  const config = asCascade(maskRcnn);
  applyOverrides(config, overrides, []);
  console.log(`${countParameters(config)} parameters; the Mask R-CNN of ${source} has ${countParameters(maskRcnn)}`);
  const validation = valJson && valImages ? { validation: { json: valJson, images: valImages } } : {};
  const weights = config.MODEL.WEIGHTS ? { weights: config.MODEL.WEIGHTS } : {};
  const run = await prepareTraining({
    ...{ config, ...weights, train: { json, images }, ...validation, output, device },
    print: console.log,
  });
  const outcome = await run.train();
  await run.dispose();
  process.exitCode = outcome.finished ? 0 : 1;
} else if (verb === 'predict' && values.length === 3) {
  const [folder, picture, output] = values;
  const predictor = await Predictor.load(folder, { device });
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
