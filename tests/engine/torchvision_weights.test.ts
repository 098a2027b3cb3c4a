import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { convertCheckpoint } from '../../src/checkpoint/convert.js';
import { decodeRle, type Rle } from '../../src/data/rle/rle.js';
import { Predictor } from '../../src/engine/predictor.js';
import { CheckpointError } from '../../src/errors.js';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/torchvision/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'torchvision-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Found {
  boxes: [number, number, number, number][];
  scores: number[];
  labels: number[];
}
type Masks = Found & { masks: number[][]; mask_pixels_near_half: number[] };
const golden = JSON.parse(readFileSync(fixture('golden.json'), 'utf8')) as {
  min_size: number;
  max_size: number;
  detections: number;
  keypoint: Found & { /** (x, y, 1) of each of 17. */ keypoints: [number, number, number][][]; keypoints_scores: number[][] };
  mask: Masks;
  box: Found;
  mask_v2: Masks;
};
const overrides = [
  `INPUT.MIN_SIZE_TEST=${golden.min_size}`,
  `INPUT.MAX_SIZE_TEST=${golden.max_size}`,
  `TEST.DETECTIONS_PER_IMAGE=${golden.detections}`,
];

/** torchvision's own results on the same file: rounding apart, row by row. */
async function expectGolden(weights: string, device: 'wasm' | 'cpu', expected: Found | Masks = golden.mask): Promise<void> {
  const predictor = await Predictor.load({ weights }, { device, overrides });
  const tensors = tf.memory().numTensors;
  try {
    expect(predictor.loadReport.unused).toEqual([]);
    const result = await predictor.predict(fixture('0.png'));
    const { boxes, scores, labels } = expected;
    expect(result.instances.map(({ classIndex }) => classIndex + 1)).toEqual(labels);
    for (const [i, { box, score, mask }] of result.instances.entries()) {
      expect(Math.abs(score - scores[i]!)).toBeLessThan(1e-4);
      for (const k of [0, 1, 2, 3]) expect(Math.abs(box[k]! - boxes[i]![k]!)).toBeLessThan(5e-3);
      expect(mask !== undefined).toBe('masks' in expected);
      if (!('masks' in expected)) continue;
      const { masks, mask_pixels_near_half: close } = expected;
      const truth = decodeRle({ size: [result.height, result.width], counts: Uint32Array.from(masks[i]!) } satisfies Rle);
      const own = decodeRle(mask!.toRle());
      const different = own.reduce((sum, value, at) => sum + Number(value !== truth[at]), 0);
      // A few pixels at the threshold may fall to the other side.
      expect(different).toBeLessThanOrEqual(close[i]! + 2);
    }
    expect(tf.memory().numTensors).toBe(tensors);
  } finally {
    predictor.dispose();
  }
}

describe("torchvision's weights", () => {
  it("give torchvision's detections and masks from the file alone", async () => {
    await expectGolden(fixture('mask_rcnn.pth'), 'wasm');
  });

  it('do so after conversion', async () => {
    const converted = join(folder, 'mask_rcnn.safetensors');
    const report = await convertCheckpoint(fixture('mask_rcnn.pth'), converted);
    expect(report.format).toBe('pth');
    await expectGolden(converted, 'cpu');
  });

  it("of a Faster R-CNN give torchvision's detections", async () => {
    await expectGolden(fixture('faster_rcnn.pth'), 'wasm', golden.box);
  });

  it('of the second version, with batch norms, two convolutions in the RPN and four before the box head, do too', async () => {
    await expectGolden(fixture('mask_rcnn_v2.pth'), 'wasm', golden.mask_v2);
    const predictor = await Predictor.load(fixture('mask_rcnn_v2.pth'), { device: 'cpu' });
    const { MODEL } = predictor.config;
    predictor.dispose();
    expect([MODEL.RESNETS.NORM, MODEL.FPN.NORM, MODEL.ROI_BOX_HEAD.NORM, MODEL.ROI_MASK_HEAD.NORM]).toEqual(Array(4).fill('BN'));
    expect(MODEL.RPN.CONV_DIMS).toEqual([-1, -1]);
    expect(MODEL.ROI_BOX_HEAD).toMatchObject({ NUM_CONV: 4, CONV_DIM: 16, NUM_FC: 1, FC_DIM: 24 });
  });

  it('of the second version without its mask head are a Faster R-CNN of the second version', async () => {
    // The heads on regions do not reach each other: torchvision's boxes are the same with and without masks.
    const { tensors } = await readCheckpoint(fixture('mask_rcnn_v2.pth'));
    const kept = new Map(
      [...tensors]
        .filter(([name]) => !name.startsWith('roi_heads.mask_head.'))
        .map(([name, tensor]) => [
          name,
          { shape: tensor.shape, dtype: 'F32' as const, data: tensor.toFloat32() as Float32Array<ArrayBuffer> },
        ]),
    );
    const path = join(folder, 'faster_rcnn_v2.safetensors');
    await writeSafetensors(path, kept, { conventions: 'torchvision' });
    const { masks: _, mask_pixels_near_half: __, ...boxes } = golden.mask_v2;
    await expectGolden(path, 'wasm', boxes);
  });

  it("give torchvision's keypoints", async () => {
    const predictor = await Predictor.load({ weights: fixture('keypoint_rcnn.pth') }, { device: 'wasm', overrides });
    const tensors = tf.memory().numTensors;
    expect(predictor.loadReport.unused).toEqual([]);
    const result = await predictor.predict(fixture('0.png'));
    expect(tf.memory().numTensors).toBe(tensors);
    predictor.dispose();
    const { boxes, scores, keypoints, keypoints_scores: logits } = golden.keypoint;
    expect(result.length).toBe(scores.length);
    const largest = Math.max(...logits.flat().map(Math.abs));
    for (const [i, { box, score, keypoints: found }] of result.instances.entries()) {
      expect(Math.abs(score - scores[i]!)).toBeLessThan(1e-4);
      for (const k of [0, 1, 2, 3]) expect(Math.abs(box[k]! - boxes[i]![k]!)).toBeLessThan(5e-3);
      expect(found!.map(({ name }) => name)[0]).toBe('nose');
      for (const [k, { x, y, score: sure }] of found!.entries()) {
        expect(Math.abs(x - keypoints[i]![k]![0]), `x of keypoint ${k} of ${i}`).toBeLessThan(5e-3);
        expect(Math.abs(y - keypoints[i]![k]![1]), `y of keypoint ${k} of ${i}`).toBeLessThan(5e-3);
        expect(Math.abs(sure - logits[i]![k]!), `score of keypoint ${k} of ${i}`).toBeLessThan(2e-4 * largest);
      }
    }
  });

  it('have a configuration of their own', async () => {
    const predictor = await Predictor.load(fixture('mask_rcnn.pth'), { device: 'cpu' });
    const { MODEL, INPUT } = predictor.config;
    predictor.dispose();
    expect(MODEL.CONVENTIONS).toBe('torchvision');
    expect(MODEL.RESNETS).toMatchObject({
      DEPTH: 50,
      NUM_GROUPS: 1,
      WIDTH_PER_GROUP: 4,
      STEM_OUT_CHANNELS: 8,
      STRIDE_IN_1X1: false,
    });
    expect(MODEL.ROI_HEADS.NUM_CLASSES).toBe(3);
    expect(MODEL.ROI_BOX_HEAD).toMatchObject({
      POOLER_TYPE: 'ROIAlign',
      POOLER_SAMPLING_RATIO: 2,
      FC_DIM: 24,
      NUM_FC: 2,
      NUM_CONV: 0,
    });
    expect(MODEL.ROI_MASK_HEAD).toMatchObject({ NUM_CONV: 4, CONV_DIM: 16, POOLER_SAMPLING_RATIO: 2 });
    expect(INPUT).toMatchObject({ FORMAT: 'RGB', MIN_SIZE_TEST: 800, MAX_SIZE_TEST: 1333 });
  });

  it('other weights need a configuration', async () => {
    const shapes = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/model/model.safetensors', import.meta.url));
    const other = join(folder, 'other.safetensors');
    copyFileSync(shapes, other);
    await expect(Predictor.load({ weights: other }, { device: 'cpu' })).rejects.toThrow(/do not tell their configuration/);
    await expect(Predictor.load(other, { device: 'cpu' })).rejects.toThrow(CheckpointError);
  });
});
