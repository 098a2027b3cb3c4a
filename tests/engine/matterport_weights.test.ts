import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/checkpoint/convert.js';
import { readHdf5 } from '../../src/checkpoint/hdf5.js';
import { convertMatterport } from '../../src/checkpoint/matterport_names.js';
import { parseSafetensors } from '../../src/checkpoint/parse_safetensors.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { dumpConfig } from '../../src/config/index.js';
import { readImage } from '../../src/data/image_io/read_image.js';
import { decodeRle, type Rle } from '../../src/data/rle/rle.js';
import { assembleModel } from '../../src/engine/assemble_model.js';
import { configOfWeights } from '../../src/engine/config_of_weights.js';
import { networkInput } from '../../src/engine/network_input.js';
import { Predictor } from '../../src/engine/predictor.js';
import { type Device, startBackend } from '../../src/backends/select.js';
import { ConfigError } from '../../src/errors.js';
import { devices } from '../ops/devices.js';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/matterport/${name}`, import.meta.url));
const weights = fixture('mask_rcnn.h5');
const folder = mkdtempSync(join(tmpdir(), 'matterport-'));
afterAll(() => rmSync(folder, { recursive: true }));

const golden = JSON.parse(readFileSync(fixture('golden.json'), 'utf8')) as {
  min_dim: number;
  max_dim: number;
  scales: number[];
  pre_nms: number;
  proposals: number;
  detections: number;
  min_confidence: number;
  /** Whole pixels as (y0, x0, y1, x1). */
  boxes: [number, number, number, number][];
  scores: number[];
  labels: number[];
  masks: number[][];
  mask_pixels_near_half: number[];
};
const { tensors: numbers } = parseSafetensors(new Uint8Array(readFileSync(fixture('golden.safetensors'))), 'golden.safetensors');
const overrides = [
  `INPUT.MIN_SIZE_TEST=${golden.min_dim}`,
  `INPUT.MAX_SIZE_TEST=${golden.max_dim}`,
  `MODEL.ANCHOR_GENERATOR.SIZES=[${golden.scales.map((size) => `[${size}]`).join(', ')}]`,
  `MODEL.RPN.PRE_NMS_TOPK_TEST=${golden.pre_nms}`,
  `MODEL.RPN.POST_NMS_TOPK_TEST=${golden.proposals}`,
  `MODEL.ROI_HEADS.SCORE_THRESH_TEST=${golden.min_confidence}`,
  `TEST.DETECTIONS_PER_IMAGE=${golden.detections}`,
];

/** TensorFlow's own results on the same file: rounding apart, row by row. */
async function expectGolden(predictor: Predictor): Promise<void> {
  const tensors = tf.memory().numTensors;
  try {
    expect(predictor.loadReport.unused).toEqual([]);
    const result = await predictor.predict(fixture('0.png'));
    expect(tf.memory().numTensors).toBe(tensors);
    const { boxes, scores, labels, masks, mask_pixels_near_half: close } = golden;
    expect(result.instances.map(({ classIndex }) => classIndex + 1)).toEqual(labels);
    for (const [i, { box, score, mask }] of result.instances.entries()) {
      const [y0, x0, y1, x1] = boxes[i]!;
      expect(box, `box ${i}`).toEqual([x0, y0, x1, y1]);
      expect(Math.abs(score - scores[i]!)).toBeLessThan(1e-4);
      const truth = decodeRle({ size: [result.height, result.width], counts: Uint32Array.from(masks[i]!) } satisfies Rle);
      const own = decodeRle(mask!.toRle());
      const different = own.reduce((sum, value, at) => sum + Number(value !== truth[at]), 0);
      // Only pixels at the threshold may fall to the other side.
      expect(different, `mask ${i}`).toBeLessThanOrEqual(close[i]!);
    }
  } finally {
    predictor.dispose();
  }
}

/** What the model computes on the way, by the trace's names. */
async function traced(device: Device): Promise<Map<string, Float32Array>> {
  await startBackend(device);
  const checkpoint = await readCheckpoint(weights);
  const { model, config } = assembleModel(checkpoint, configOfWeights(checkpoint, overrides)!);
  const kept = new Map<string, tf.Tensor>();
  const image = await readImage(fixture('0.png'), { format: 'RGB' });
  await model.infer([networkInput(image, config)], {
    trace: (name, tensor) => void kept.set(name, tf.keep(tensor.clone())),
  });
  model.dispose();
  const seen = new Map<string, Float32Array>();
  for (const [name, tensor] of kept) seen.set(name, Float32Array.from(await tensor.data()));
  tf.dispose([...kept.values()]);
  return seen;
}

const largest = (own: ArrayLike<number>, truth: ArrayLike<number>): number => {
  expect(own.length).toBe(truth.length);
  let most = 0;
  for (let i = 0; i < own.length; i++) most = Math.max(most, Math.abs(own[i]! - truth[i]!));
  return most;
};

describe("Matterport's weights", () => {
  it.each(devices as Device[])('give its logits, proposals, probabilities and masks on %s', async (device) => {
    const seen = await traced(device);
    const truth = (name: string): Float32Array => numbers.get(name)!.toFloat32();
    const joined = (name: string): number[] => [0, 1, 2, 3, 4].flatMap((level) => [...seen.get(`rpn.${name}.${level}`)!]);
    const pairs = truth('rpn_logits');
    const differences = Float32Array.from({ length: pairs.length / 2 }, (_, i) => pairs[2 * i + 1]! - pairs[2 * i]!);
    // Rows are (dy, dx, dh, dw) there, (dx, dy, dw, dh) here; the same of (y0, x0, y1, x1).
    const swapped = (values: ArrayLike<number>): Float32Array => Float32Array.from(values, (_, i) => values[i ^ 1]!);
    expect(largest(joined('logits'), differences)).toBeLessThan(2e-4);
    expect(largest(joined('deltas'), swapped(truth('rpn_deltas')))).toBeLessThan(2e-4);
    expect(largest(seen.get('proposals.0.boxes')!, swapped(truth('proposals')))).toBeLessThan(5e-6);
    const classes = numbers.get('probabilities')!.shape[1]!;
    const probabilities = truth('probabilities');
    const logits = seen.get('cls_logits')!;
    const softmax = tf.tidy(() => tf.softmax(tf.tensor2d(logits, [golden.proposals, classes])));
    const own = Float32Array.from(await softmax.data());
    softmax.dispose();
    // The background is first there, last here.
    const rolled = Float32Array.from(own, (_, i) => own[i - (i % classes) + (((i % classes) + classes - 1) % classes)]!);
    expect(largest(rolled, probabilities)).toBeLessThan(5e-5);
    const deltas = truth('box_deltas').filter((_, i) => i % (4 * classes) >= 4);
    expect(largest(seen.get('box_deltas')!, swapped(deltas))).toBeLessThan(2e-4);
    expect(largest(seen.get('raw.0.pred_boxes')!, swapped(truth('boxes')))).toBeLessThan(5e-6);
    expect(largest(seen.get('raw.0.pred_masks')!, truth('masks'))).toBeLessThan(1e-4);
  });

  it.each(devices as Device[])('give its whole boxes, scores and masks from the file alone on %s', async (device) => {
    await expectGolden(await Predictor.load(weights, { device, overrides }));
  });

  it('do so after conversion, and in a folder with a configuration', async () => {
    const report = await convertCheckpoint(weights, join(folder, 'mask_rcnn.safetensors'));
    expect(report.format).toBe('hdf5');
    const predictor = await Predictor.load(join(folder, 'mask_rcnn.safetensors'), { device: 'cpu', overrides });
    const config = dumpConfig(predictor.config);
    await expectGolden(predictor);
    rmSync(join(folder, 'mask_rcnn.safetensors'));
    copyFileSync(weights, join(folder, 'mask_rcnn.h5'));
    writeFileSync(join(folder, 'config.yaml'), config);
    await expectGolden(await Predictor.load(folder, { device: 'cpu' }));
  });

  it('have a configuration of their own', async () => {
    const checkpoint = await readCheckpoint(weights);
    const { MODEL, INPUT, TEST } = configOfWeights(checkpoint)!;
    expect(MODEL.CONVENTIONS).toBe('matterport');
    expect(MODEL.PIXEL_MEAN).toEqual([123.7, 116.8, 103.9]);
    expect(MODEL.RESNETS).toMatchObject({ DEPTH: 50, WIDTH_PER_GROUP: 2, STEM_OUT_CHANNELS: 4, STRIDE_IN_1X1: true });
    expect(MODEL.RPN).toMatchObject({ PRE_NMS_TOPK_TEST: 6000, POST_NMS_TOPK_TEST: 1000, NMS_THRESH: 0.7, CONV_DIMS: [16] });
    expect(MODEL.ROI_HEADS).toMatchObject({ NUM_CLASSES: 3, SCORE_THRESH_TEST: 0.7, NMS_THRESH_TEST: 0.3 });
    expect(MODEL.ROI_MASK_HEAD).toMatchObject({ NUM_CONV: 4, CONV_DIM: 12 });
    expect(INPUT).toMatchObject({ FORMAT: 'RGB', MIN_SIZE_TEST: 800, MAX_SIZE_TEST: 1024 });
    expect(TEST.DETECTIONS_PER_IMAGE).toBe(100);
  });

  it('several pictures at once give what each gives alone', async () => {
    const predictor = await Predictor.load(weights, { device: 'wasm', overrides });
    const files = [fixture('0.png'), fixture('1.png')];
    const together = await predictor.predict(files);
    for (const [i, file] of files.entries()) {
      const alone = await predictor.predict(file);
      expect(together[i]!.instances.map(({ box, classIndex }) => [box, classIndex])).toEqual(
        alone.instances.map(({ box, classIndex }) => [box, classIndex]),
      );
    }
    predictor.dispose();
  });

  it('give masks for boxes that are given', async () => {
    const predictor = await Predictor.load(weights, { device: 'wasm', overrides });
    const found = await predictor.predict(fixture('0.png'));
    const [first] = found.instances;
    const tensors = tf.memory().numTensors;
    const { instances } = await predictor.predictGiven(fixture('0.png'), [{ box: first!.box }]);
    expect(tf.memory().numTensors).toBe(tensors);
    predictor.dispose();
    expect(instances[0]!.box).toEqual(first!.box);
    expect(instances[0]!.mask!.area()).toBeGreaterThan(0);
  });

  it('of a ResNet-101 have more blocks, other numbers are none', async () => {
    const checkpoint = await readCheckpoint(weights);
    const keras = readHdf5(new Uint8Array(readFileSync(weights))).tensors;
    const block = [...keras].filter(([name]) => /^(res|bn)4f_/.test(name));
    const withBlocks = (last: string) => {
      const tensors = new Map(keras);
      for (let letter = 'g'; letter <= last; letter = String.fromCharCode(letter.charCodeAt(0) + 1))
        for (const [name, tensor] of block) tensors.set(name.replaceAll('4f_', `4${letter}_`), tensor);
      return configOfWeights({ ...checkpoint, ...convertMatterport(tensors) })!;
    };
    expect(withBlocks('w').MODEL.RESNETS.DEPTH).toBe(101);
    expect(() => withBlocks('g')).toThrow(/res4 has 7 blocks; expected 6 \(ResNet-50\) or 23/);
  });

  it('are of one kind of model', async () => {
    for (const setting of ['MODEL.META_ARCHITECTURE=RetinaNet', 'MODEL.ROI_HEADS.NAME=CascadeROIHeads', 'TEST.AUG.ENABLED=True'])
      await expect(Predictor.load(weights, { device: 'cpu', overrides: [setting] })).rejects.toThrow(ConfigError);
  });

  it("fit Detectron2's rules too, to train on", async () => {
    await startBackend('cpu');
    const checkpoint = await readCheckpoint(weights);
    const config = configOfWeights(checkpoint, ['MODEL.CONVENTIONS=detectron2'])!;
    const { model, report } = assembleModel(checkpoint, config);
    model.dispose();
    expect(report.unused).toEqual([]);
  });

  it('other models of Keras say what was expected', async () => {
    const other = fileURLToPath(new URL('../fixtures/hdf5/keras.h5', import.meta.url));
    await expect(Predictor.load(other, { device: 'cpu' })).rejects.toThrow(
      /keras.h5: a Keras file that holds no Mask R-CNN of Matterport's.*expected the layers conv1, .*mrcnn_class_logits.*it has 'bn_conv1/,
    );
  });

  it('need an input whose side is a multiple of 64', async () => {
    const sizes = [...overrides, 'INPUT.MAX_SIZE_TEST=100'];
    await expect(Predictor.load(weights, { device: 'cpu', overrides: sizes })).rejects.toThrow(ConfigError);
  });
});
