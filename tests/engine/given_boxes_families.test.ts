import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeRle, rleFromString } from '../../src/data/rle/rle.js';
import { Predictor } from '../../src/engine/predictor.js';
import type { BoxXyxy } from '../../src/structures/detected_instances.js';
import { compareMask } from '../golden/compare.js';
import { goldenFolder } from '../golden_folder.js';
import { type GoldenModel, goldenModel } from './golden_model.js';

const golden = goldenFolder();
const reason = golden ? '' : ' (skipped: ../shared/golden is not there)';

const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
const boxesOf = (values: Float32Array): BoxXyxy[] =>
  Array.from({ length: values.length / 4 }, (_, i) => [...values.subarray(i * 4, i * 4 + 4)] as unknown as BoxXyxy);

/** Class probabilities [R, K + 1] of logits, background last. */
function softmax(logits: Float32Array, rows: number): Float64Array {
  const columns = logits.length / rows;
  const out = Float64Array.from(logits, Math.exp);
  for (let row = 0; row < rows; row++) {
    const own = out.subarray(row * columns, (row + 1) * columns);
    const sum = own.reduce((a, b) => a + b, 0);
    own.forEach((value, i) => (own[i] = value / sum));
  }
  return out;
}

describe.skipIf(!golden).each([
  ['Keypoint R-CNN', '05', ['cls_logits']],
  ['Cascade R-CNN', '07', ['cls_logits.0', 'cls_logits.1', 'cls_logits.2']],
  ['the shared res5 of C4', '08', ['cls_logits']],
])(`boxes that are given to %s${reason}`, (_, number, stages) => {
  let model: GoldenModel;
  let predictor: Predictor;
  beforeAll(async () => {
    model = goldenModel(golden!, number);
    predictor = await Predictor.load(model.source, { device: 'wasm' });
  });
  afterAll(() => predictor.dispose());

  it('have the masks and keypoints of its own detections, in the order that they are given in', async () => {
    const wanted = await predictor.predict(model.picture);
    expect(wanted.length).toBe(model.tensor('final.0.scores').length);
    const given = wanted.instances.map(({ box, classIndex, score }) => ({ box, classIndex, score }));
    const before = tf.memory().numTensors;
    const found = await predictor.predictGiven(model.picture, [...given].reverse());
    expect(tf.memory().numTensors).toBe(before);
    [...wanted.instances].reverse().forEach((own, i) => {
      const { box, className, score, mask, keypoints } = found.instances[i];
      expect([box, className]).toEqual([own.box, own.className]);
      expect(score).toBeCloseTo(own.score, 7);
      expect([mask === undefined, keypoints?.length]).toEqual([own.mask === undefined, own.keypoints?.length]);
      if (mask) expect(largest(mask.probabilities, own.mask!.probabilities)).toBeLessThan(1e-5);
      keypoints?.forEach(({ name, x, y, score: sure }, k) => {
        const point = own.keypoints![k];
        expect(name).toBe(point.name);
        expect(largest([x, y, sure], [point.x, point.y, point.score])).toBeLessThan(1e-3);
      });
    });
  });

  it("that are Detectron2's detections have its masks and keypoints", async () => {
    const classes = model.tensor('final.0.pred_classes');
    const given = boxesOf(model.tensor('final.0.pred_boxes')).map((box, i) => ({ box, classIndex: classes[i], score: 1 }));
    const found = await predictor.predictGiven(model.picture, given);
    if (number === '05') {
      const points = found.instances.flatMap(({ keypoints }) => keypoints!.flatMap(({ x, y, score }) => [x, y, score]));
      expect(largest(points, model.tensor('final.0.pred_keypoints'))).toBeLessThan(model.tolerance('final.0.pred_keypoints'));
      return;
    }
    expect(model.masks.length).toBe(given.length);
    found.instances.forEach(({ mask }, i) => {
      const bitmap = decodeRle(rleFromString(model.masks[i].counts, model.masks[i].size));
      const line = compareMask({ case: number, name: `mask ${i}` }, decodeRle(mask!.toRle()), bitmap);
      expect(line.ok, `${line.name}: ${line.note}`).toBe(true);
    });
    const masks = model.tensor('raw.0.pred_masks');
    const size = found.instances[0].mask!.size;
    const first = found.instances.slice(0, masks.length / size ** 2).flatMap(({ mask }) => [...mask!.probabilities]);
    expect(largest(masks, first)).toBeLessThan(model.tolerance('raw.0.pred_masks'));
  });

  it("that are Detectron2's proposals get the likeliest class by the mean of its stages", async () => {
    const proposals = boxesOf(model.tensor('proposals.0.boxes'));
    const each = stages.map((stage) => softmax(model.tensor(stage), proposals.length));
    const columns = each[0].length / proposals.length;
    const mean = (i: number): number => each.reduce((sum, stage) => sum + stage[i], 0) / each.length;
    const { height, width } = await predictor.predict(model.picture);
    const [y, x] = [height / model.inputSize[0], width / model.inputSize[1]];
    const chosen = proposals.slice(0, 60);
    const given = chosen.map(([x0, y0, x1, y1]) => ({
      box: [x0 * x, y0 * y, Math.min(width, x1 * x), Math.min(height, y1 * y)] as const,
    }));
    const found = await predictor.predictGiven(model.picture, given);
    const seen = new Set<number>();
    found.instances.forEach(({ classIndex, score }, row) => {
      const probabilities = Array.from({ length: columns - 1 }, (__, i) => mean(row * columns + i));
      const best = probabilities.indexOf(Math.max(...probabilities));
      seen.add(best);
      expect(classIndex).toBe(best);
      expect(Math.abs(score - probabilities[best])).toBeLessThan(1e-4);
    });
    expect(seen.size).toBe(columns - 1);
  });
});
