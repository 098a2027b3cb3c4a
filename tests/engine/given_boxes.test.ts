import * as tf from '@tensorflow/tfjs-core';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, type Safetensors } from '../../src/checkpoint/safetensors.js';
import { Predictor } from '../../src/engine/predictor.js';
import { ArgumentError } from '../../src/errors.js';

const folder = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/', import.meta.url));
const picture = `${folder}inputs/0.png`;
const { image_sizes } = (
  JSON.parse(readFileSync(`${folder}golden.json`, 'utf8')) as { single: { image_sizes: [number, number][] } }
).single;

describe('boxes that are given, on wasm', () => {
  let predictor: Predictor;
  let golden: Safetensors;
  beforeAll(async () => {
    predictor = await Predictor.load(`${folder}model`, { device: 'wasm' });
    golden = await readSafetensors(`${folder}golden.safetensors`);
  });
  afterAll(() => predictor.dispose());

  it('that are the detections have their masks', async () => {
    const wanted = await predictor.predict(picture);
    const given = wanted.instances.map(({ box, classIndex, score }) => ({ box, classIndex, score }));
    const before = tf.memory().numTensors;
    // In another order, which stays.
    const found = await predictor.predictGiven(picture, [...given].reverse());
    expect(tf.memory().numTensors).toBe(before);
    expect(found.length).toBe(wanted.length);
    [...wanted.instances].reverse().forEach(({ box, score, className, mask }, i) => {
      const instance = found.instances[i];
      expect([instance.box, instance.className]).toEqual([box, className]);
      expect(instance.score).toBeCloseTo(score, 7);
      const off = mask!.probabilities.reduce((most, p, at) => Math.max(most, Math.abs(p - instance.mask!.probabilities[at])), 0);
      expect(off).toBeLessThan(1e-5);
    });
  });

  it("that are Detectron2's proposals get the classes of its box head", async () => {
    const boxes = golden.tensors.get('single.proposals.0.boxes')!.toFloat32();
    const logits = golden.tensors.get('single.cls_logits')!.toFloat32();
    const rows = boxes.length / 4;
    const columns = logits.length / rows;
    const wanted = Array.from({ length: rows }, (_, row) => {
      const exps = Array.from(logits.subarray(row * columns, (row + 1) * columns), (value) => Math.exp(value));
      const sum = exps.reduce((a, b) => a + b, 0);
      const best = exps.slice(0, -1).reduce((at, value, i) => (value > exps[at] ? i : at), 0);
      return { row, best, score: exps[best] / sum };
    }).slice(0, 40);
    const { height, width } = await predictor.predict(picture);
    const [y, x] = [height / image_sizes[0][0], width / image_sizes[0][1]];
    const given = wanted.map(({ row }) => {
      const [x0, y0, x1, y1] = boxes.subarray(row * 4, row * 4 + 4);
      return { box: [x0 * x, y0 * y, Math.min(width, x1 * x), Math.min(height, y1 * y)] as const };
    });
    const found = await predictor.predictGiven(picture, given);
    found.instances.forEach(({ classIndex, score }, i) => {
      expect(classIndex).toBe(wanted[i].best);
      expect(Math.abs(score - wanted[i].score)).toBeLessThan(1e-4);
    });
  });

  it('may be none, and must lie in the picture', async () => {
    expect((await predictor.predictGiven(picture, [])).length).toBe(0);
    const bad = (box: readonly [number, number, number, number], classIndex?: number) =>
      predictor.predictGiven(picture, [{ box, ...(classIndex === undefined ? {} : { classIndex }) }]);
    await expect(bad([5, 5, 5, 9])).rejects.toThrow(ArgumentError);
    await expect(bad([5, 5, 10, 9000])).rejects.toThrow(/boxes\[0\] is \(5, 5, 10, 9000\).*pixels/s);
    await expect(bad([NaN, 5, 10, 9])).rejects.toThrow(/boxes\[0\]/);
    await expect(bad([5, 5, 10, 9], 3)).rejects.toThrow(/class 3; expected 0 to 2/);
  });

  it('need heads on regions', async () => {
    const overrides = ['MODEL.META_ARCHITECTURE=ProposalNetwork'];
    const proposals = await Predictor.load(`${folder}model`, { device: 'wasm', overrides });
    await expect(proposals.predictGiven(picture, [{ box: [1, 1, 9, 9] }])).rejects.toThrow(
      /META_ARCHITECTURE is ProposalNetwork/,
    );
    proposals.dispose();
  });

  it('features are the levels of the pyramid, with strides and no tensor left', async () => {
    const before = tf.memory().numTensors;
    const features = await predictor.features(picture);
    expect(features.levels.map(({ name, stride }) => [name, stride])).toEqual([
      ['p2', 4],
      ['p3', 8],
      ['p4', 16],
      ['p5', 32],
      ['p6', 64],
    ]);
    expect(features.inputSize).toEqual(image_sizes[0]);
    const { map } = features.levels[2];
    const wanted = golden.tensors.get('single.features.p4')!;
    const [, channels, height, width] = wanted.shape;
    expect(map.shape).toEqual([1, height, width, channels]);
    const planar = tf.tidy(() => tf.transpose(map, [0, 3, 1, 2]).dataSync());
    const off = wanted.toFloat32().reduce((most, value, i) => Math.max(most, Math.abs(value - planar[i])), 0);
    expect(off).toBeLessThan(1e-3);
    features.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
