/**
 * Trains a model made of the parts beside this file:
 *
 *   npx tsx examples/own_parts/train.ts CONFIG LINES.txt PICTURES_FOLDER OUTPUT_FOLDER [KEY=VALUE ...]
 *
 * CONFIG is any Mask R-CNN on a pyramid. LINES.txt has a line for each object: PICTURE CLASS x0 y0 x1 y1 x2 y2 ...
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { getConfig } from '../../src/config/index.js';
import { writeCocoDataset } from '../../src/data/coco/write_coco.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { datasetFormats } from '../../src/registry/index.js';
import { registerMobileBackbone } from './mobile_backbone.js';
import { LowestLoss, registerParts } from './parts.js';

const [source, lines, images, output, ...overrides] = process.argv.slice(2);
if (!source || !lines || !images || !output) {
  console.error('usage: train.ts CONFIG LINES.txt PICTURES_FOLDER OUTPUT_FOLDER [KEY=VALUE ...]');
  process.exit(2);
}

registerMobileBackbone();
registerParts();

const { dataset, warnings } = await datasetFormats.require('lines')(lines, images);
for (const warning of warnings) console.error(warning);
await mkdir(output, { recursive: true });
const json = join(output, 'train.json');
await writeCocoDataset(json, dataset);

const config = getConfig(source, [
  'MODEL.BACKBONE.NAME=build_mobile_fpn_backbone',
  'MODEL.ROI_BOX_HEAD.NAME=MeanBoxHead',
  'MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE=log_iou',
  ...overrides,
]);
const run = await prepareTraining({
  config,
  weights: 'none',
  train: { json, images },
  output,
  device: 'wasm',
  augmentations: [
    { name: 'ResizeShortestEdge', args: [{ shortEdge: config.INPUT.MIN_SIZE_TRAIN }] },
    { name: 'Fade', args: [0.3] },
  ],
  hooks: [new LowestLoss(console.log)],
  logPeriod: 1,
  print: console.log,
});
await run.train();
await run.dispose();
