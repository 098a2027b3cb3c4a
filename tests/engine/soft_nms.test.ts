import * as tf from '@tensorflow/tfjs-core';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';
import { Predictor } from '../../src/engine/predictor.js';
import { ConfigError } from '../../src/errors.js';
import { plainSoftNms } from '../ops/nms/problems.js';

const picture = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/inputs/0.png', import.meta.url));
const model = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/model', import.meta.url));

/** An instance as numbers: class, score, box. */
type Row = [classIndex: number, score: number, ...box: number[]];

async function predict(...overrides: string[]): Promise<Row[]> {
  const predictor = await Predictor.load(model, { device: 'wasm', overrides });
  const tensors = tf.memory().numTensors;
  const result = await predictor.predict(picture);
  expect(tf.memory().numTensors).toBe(tensors);
  predictor.dispose();
  return result.instances.map(({ classIndex, score, box }) => [classIndex, score, ...box]);
}

describe('TEST.SOFT_NMS', () => {
  it.each(['linear', 'gaussian'] as const)('%s: a prediction has the decayed scores', async (method) => {
    // Without suppression all candidates come out; what the plain loops make of them is what must come out with it.
    const all = await predict('MODEL.ROI_HEADS.NMS_THRESH_TEST=1', 'TEST.DETECTIONS_PER_IMAGE=1000');
    const numbers = (k: number): Float32Array => Float32Array.from(all, (row) => row[k]);
    const boxes = Float32Array.from(all.flatMap((row) => row.slice(2)));
    const expected = plainSoftNms(boxes, numbers(1), Int32Array.from(numbers(0)), {
      method,
      iouThreshold: 0.3,
      sigma: 0.4,
      scoreThreshold: 0.05,
      most: 100,
    });
    const found = await predict(
      `TEST.SOFT_NMS.METHOD=${method}`,
      'TEST.SOFT_NMS.SIGMA=0.4',
      'MODEL.ROI_HEADS.NMS_THRESH_TEST=0.3',
    );
    expect(found.length).toBe(expected.length);
    found.forEach(([classIndex, score, ...box], k) => {
      const [index, decayed] = expected[k];
      expect(classIndex).toBe(all[index][0]);
      // The boxes of the picture are those of the network's input times two scales, which moves their overlaps a little.
      expect(Math.abs(score - decayed)).toBeLessThan(2e-6);
      expect(box).toEqual(all[index].slice(2));
    });
    // Some scores are decayed ones, and more boxes stay than without.
    expect(found.filter(([, score], k) => score < all[expected[k][0]][1]).length).toBeGreaterThan(3);
    expect(found.length).toBeGreaterThan((await predict('MODEL.ROI_HEADS.NMS_THRESH_TEST=0.3')).length);
  });

  it('is an option of maskrcnn predict', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'maskrcnn-soft-nms-'));
    const said = { out: () => undefined, err: () => undefined };
    const args = ['predict', picture, '--model', model, '--device', 'wasm', '--score', '0.05', '--format', 'coco'];
    expect(await runCommandLine([...args, '--soft-nms', 'gaussian', '--output', folder], said)).toBe(0);
    const results = JSON.parse(readFileSync(join(folder, 'coco_results.json'), 'utf8')) as { score: number }[];
    const expected = await predict('TEST.SOFT_NMS.METHOD=gaussian');
    expect(results.map(({ score }) => score)).toEqual(expected.map(([, score]) => score));
    rmSync(folder, { recursive: true });
  });

  it('says what does not fit', async () => {
    const load = (...overrides: string[]): Promise<Predictor> =>
      Predictor.load(model, { device: 'wasm', overrides: ['TEST.SOFT_NMS.METHOD=gaussian', ...overrides] });
    await expect(load('TEST.SOFT_NMS.SIGMA=0')).rejects.toThrow('TEST.SOFT_NMS.SIGMA is 0; expected a positive number');
    await expect(load('TEST.AUG.ENABLED=true')).rejects.toThrow(ConfigError);
  });
});
