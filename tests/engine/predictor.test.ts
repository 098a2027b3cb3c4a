import * as tf from '@tensorflow/tfjs-core';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, type Safetensors } from '../../src/checkpoint/safetensors.js';
import { decodeRle, rleFromString } from '../../src/data/rle/rle.js';
import { Predictor } from '../../src/engine/predictor.js';
import { readBacks } from '../../src/ops/read_back.js';

const folder = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/', import.meta.url));
const weights = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/model', import.meta.url));
interface Final {
  height: number;
  width: number;
  masks_rle: { size: [number, number]; counts: string }[];
}
interface Manifest {
  single: { final: Final[] };
  batch: { final: Final[] };
  tensors: Record<string, { atol?: number }>;
}
const manifest = JSON.parse(readFileSync(`${folder}golden.json`, 'utf8')) as Manifest;

describe.each(['cpu', 'wasm'] as const)('Predictor on %s', (device) => {
  let predictor: Predictor;
  let golden: Safetensors;
  beforeAll(async () => {
    predictor = await Predictor.load(weights, { device });
    golden = await readSafetensors(`${folder}golden.safetensors`);
  });
  afterAll(() => predictor.dispose());

  const maxDifference = (name: string, values: number[]): number => {
    const wanted = golden.tensors.get(name)!.toFloat32();
    expect(values.length).toBe(wanted.length);
    return values.reduce((max, value, i) => Math.max(max, Math.abs(value - wanted[i])), 0);
  };

  it("finds Detectron2's instances in one picture, within the stored tolerances", async () => {
    const result = await predictor.predict(`${folder}inputs/0.png`);
    expect([result.height, result.width]).toEqual([manifest.single.final[0].height, manifest.single.final[0].width]);
    const boxes = result.instances.flatMap(({ box }) => [...box]);
    expect(maxDifference('single.final.0.pred_boxes', boxes)).toBeLessThanOrEqual(
      manifest.tensors['single.final.0.pred_boxes'].atol!,
    );
    const scores = result.instances.map(({ score }) => score);
    expect(maxDifference('single.final.0.scores', scores)).toBeLessThanOrEqual(manifest.tensors['single.final.0.scores'].atol!);
    const classes = result.instances.map(({ classIndex }) => classIndex);
    expect(maxDifference('single.final.0.pred_classes', classes)).toBe(0);
    result.instances.forEach(({ mask }, i) => {
      const { size, counts } = manifest.single.final[0].masks_rle[i];
      expect(iou(mask!.toBitmap(), decodeRle(rleFromString(counts, size)))).toBeGreaterThanOrEqual(0.995);
    });
  });

  it('gives a batch of two sizes the same numbers', async () => {
    const results = await predictor.predict([`${folder}inputs/0.png`, `${folder}inputs/1.png`]);
    results.forEach((result, n) => {
      const boxes = result.instances.flatMap(({ box }) => [...box]);
      expect(maxDifference(`batch.final.${n}.pred_boxes`, boxes)).toBeLessThanOrEqual(
        manifest.tensors[`batch.final.${n}.pred_boxes`].atol!,
      );
    });
  });

  it('leaves no tensors behind and reads back twice: boxes with the proposals they came from, then masks', async () => {
    const tensors = tf.memory().numTensors;
    const reads = readBacks.count;
    await predictor.predict(`${folder}inputs/0.png`);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(readBacks.count - reads).toBe(2);
  });

  it('answers an empty picture with no instances', async () => {
    const result = await predictor.predict({ data: new Uint8Array(64 * 64 * 3), height: 64, width: 64 });
    expect(result.toCoco({ imageId: 0 }).length).toBe(result.length);
  });

  it('stops at an aborted signal', async () => {
    const tensors = tf.memory().numTensors;
    await expect(predictor.predict(`${folder}inputs/0.png`, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('writes COCO results that name the picture and its size', async () => {
    const result = await predictor.predict(`${folder}inputs/0.png`);
    const [first] = result.toCoco({ imageId: 7, categoryIds: [10, 20, 30] });
    expect(first.image_id).toBe(7);
    expect(first.category_id).toBe([10, 20, 30][result.instances[0].classIndex]);
    expect(first.segmentation!.size).toEqual([result.height, result.width]);
    const [x0, y0, x1, y1] = result.instances[0].box;
    expect(first.bbox).toEqual([x0, y0, x1 - x0, y1 - y0]);
  });
});

describe('a predictor that cannot be', () => {
  it('names the nearest models', async () => {
    await expect(Predictor.load('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_33x', { device: 'cpu' })).rejects.toThrow(
      /no model 'COCO-InstanceSegmentation\/mask_rcnn_R_50_FPN_33x'.*mask_rcnn_R_50_FPN_3x/s,
    );
  });

  it('says that it was disposed', async () => {
    const predictor = await Predictor.load(weights, { device: 'cpu' });
    const before = tf.memory().numTensors;
    predictor.dispose();
    predictor.dispose();
    expect(tf.memory().numTensors).toBeLessThan(before);
    await expect(predictor.predict(`${folder}inputs/0.png`)).rejects.toThrow(/disposed/);
  });
});

function iou(a: Uint8Array, b: Uint8Array): number {
  let both = 0;
  let either = 0;
  for (let i = 0; i < a.length; i++) {
    both += a[i] & b[i];
    either += a[i] | b[i];
  }
  return either === 0 ? 1 : both / either;
}
