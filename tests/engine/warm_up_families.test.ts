import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { startBackend } from '../../src/backends/select.js';
import type { LoadedModel } from '../../src/engine/assemble_model.js';
import { getConfig, Predictor } from '../../src/index.js';
import { initializeWeights } from '../../src/layers/weight_init.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import { readBacks } from '../../src/ops/read_back.js';

const here = process.env.MASKRCNN_TEST_DEVICES?.split(',').includes('webgpu') === true;
const reason = here ? '' : ' (skipped: `npm run test:webgpu` runs it, with a Vulkan driver)';

const compiled = (): string[] => Object.keys((tf.backend() as unknown as { pipelineCache: object }).pipelineCache);

/** How often the backend itself was asked for values that are on the device. */
function countTransfers(): { readonly count: number; end(): void } {
  const backend = tf.backend() as unknown as tf.KernelBackend & { tensorMap: { get(dataId: object): { values?: unknown } } };
  const { read } = backend;
  const counter = { count: 0, end: () => Object.assign(backend, { read }) };
  backend.read = (dataId) => {
    if (!backend.tensorMap.get(dataId).values) counter.count++;
    return read.call(backend, dataId);
  };
  return counter;
}

/** A picture with some discs in strong colours. */
function picture(width: number, height: number, shapes: number, random: Random) {
  const data = new Uint8Array(width * height * 3).fill(230);
  for (let shape = 0; shape < shapes; shape++) {
    const [x, y] = [random.uniform(0, width), random.uniform(0, height)];
    const colour = [random.uniform(0, 255), random.uniform(0, 255), random.uniform(0, 255)];
    for (let i = 0; i < width * height; i++)
      if (Math.hypot((i % width) - x, Math.floor(i / width) - y) < height / 3) data.set(colour, 3 * i);
  }
  return { data, width, height };
}

/** A narrow model of a family with random weights. */
async function narrowPredictor(name: string): Promise<Predictor> {
  const backend = await startBackend('webgpu');
  const config = getConfig(name, [
    // One size of padded inputs, few regions: a software driver is slow.
    ...['INPUT.MIN_SIZE_TEST=64', 'INPUT.MAX_SIZE_TEST=64', 'TEST.DETECTIONS_PER_IMAGE=8'],
    ...['MODEL.RPN.PRE_NMS_TOPK_TEST=40', 'MODEL.RPN.POST_NMS_TOPK_TEST=20', 'MODEL.RETINANET.TOPK_CANDIDATES_TEST=20'],
    ...['MODEL.RESNETS.DEPTH=18', 'MODEL.RESNETS.STEM_OUT_CHANNELS=8', 'MODEL.RESNETS.RES2_OUT_CHANNELS=8'],
    ...['MODEL.FPN.OUT_CHANNELS=8', 'MODEL.ROI_BOX_HEAD.FC_DIM=16', 'MODEL.ROI_MASK_HEAD.CONV_DIM=8'],
    ...['MODEL.ROI_MASK_HEAD.NUM_CONV=1', 'MODEL.ROI_HEADS.NUM_CLASSES=3', 'MODEL.RETINANET.NUM_CLASSES=3'],
    ...['MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS=[8]', 'MODEL.RETINANET.NUM_CONVS=1', 'MODEL.RETINANET.SCORE_THRESH_TEST=0.001'],
    ...['MODEL.SEM_SEG_HEAD.CONVS_DIM=8', 'MODEL.SEM_SEG_HEAD.NORM=', 'MODEL.SEM_SEG_HEAD.NUM_CLASSES=4'],
  ]);
  const model = buildModel(config);
  const random = new Random(3);
  initializeWeights(model.modelParameters(), () => random.next());
  const report: LoadedModel['report'] = { entries: [] } as never;
  return new Predictor({ model, config, classNames: [], keypointNames: [], semanticClassNames: [], report }, backend);
}

describe.skipIf(!here)(`the warm-up of every family on webgpu${reason}`, () => {
  it.each([
    ['COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x', 2],
    ['COCO-PanopticSegmentation/panoptic_fpn_R_50_3x', 2],
    ['Misc/cascade_mask_rcnn_R_50_FPN_3x', 2],
    ['COCO-Detection/retinanet_R_50_FPN_3x', 1],
  ])('%s compiles all, and a picture of any size makes %i reads', async (name, reads) => {
    const predictor = await narrowPredictor(name);
    await predictor.warmUp();
    const warm = compiled();
    expect(warm.length).toBeGreaterThan(20);
    const { numTensors } = tf.memory();
    const random = new Random(2);
    for (const [width, height, shapes] of [
      [64, 64, 2],
      [100, 70, 0],
      [33, 90, 1],
    ]) {
      const before = readBacks.count;
      const transfers = countTransfers();
      const result = await predictor.predict(picture(width, height, shapes, random));
      transfers.end();
      expect(readBacks.count - before).toBe(reads);
      expect(transfers.count).toBe(reads);
      if (name.includes('panoptic')) expect(result.pixels.semantic!.labels.length).toBe(width * height);
      expect(compiled().filter((key) => !warm.includes(key))).toEqual([]);
    }
    if (!name.includes('retinanet')) {
      const scene = picture(80, 60, 2, random);
      const boxes = [[5, 5, 40, 50], [30, 10, 75, 55], [2, 2, 20, 20], [0, 0, 80, 60]] as const; // prettier-ignore
      for (const count of [1, 4]) await predictor.predictGiven(scene, boxes.slice(0, count).map((box) => ({ box }))); // prettier-ignore
      expect(compiled().filter((key) => !warm.includes(key))).toEqual([]);
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    predictor.dispose();
  });
});
