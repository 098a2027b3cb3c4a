import { describe, expect, it } from 'vitest';
import { retinaNetInference } from '../../src/meta_arch/retinanet_inference.js';
import { AnchorGenerator } from '../../src/rpn/anchor_generator.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';

const anchors = new AnchorGenerator({ sizes: [[32]], aspectRatios: [[1]], strides: [8, 16], offset: 0 });
const transform = new Box2BoxTransform([1, 1, 1, 1]);
const selection = { scoreThreshold: 0.1, nmsThreshold: 0.5, topK: 10, topKCandidates: 2 };
const one = { height: 1, width: 1 };
const logit = (p: number): number => Math.log(p / (1 - p));

describe('retinaNetInference', () => {
  it('keeps boxes unclipped, suppresses within a class alone, and sorts by score', () => {
    // Two levels of one anchor each, both at (-16, -16, 16, 16); classes 0 and 1.
    const logits = [Float32Array.of(logit(0.9), logit(0.3)), Float32Array.of(logit(0.8), logit(0.05))];
    const deltas = [new Float32Array(4), new Float32Array(4)];
    const found = retinaNetInference(logits, deltas, [one, one], anchors, transform, 2, selection);
    expect([...found.classes]).toEqual([0, 1]);
    expect(found.scores[0]).toBeCloseTo(0.9, 6);
    expect(found.scores[1]).toBeCloseTo(0.3, 6);
    expect([...found.boxes]).toEqual([-16, -16, 16, 16, -16, -16, 16, 16]);
    expect([...found.rows]).toEqual([0, 0]);
  });

  it('lets scores decay where that is asked for', () => {
    // The same box at two levels, IoU 1: gone linearly, exp(-2) of it by the gaussian; the other class is left alone.
    const logits = [Float32Array.of(logit(0.9), logit(0.3)), Float32Array.of(logit(0.8), logit(0.05))];
    const deltas = [new Float32Array(4), new Float32Array(4)];
    const find = (method: 'linear' | 'gaussian') =>
      retinaNetInference(logits, deltas, [one, one], anchors, transform, 2, { ...selection, softNms: { method, sigma: 0.5 } });
    expect([...find('linear').rows]).toEqual([0, 0]);
    const { rows, classes, scores } = find('gaussian');
    expect([...rows]).toEqual([0, 0, 1]);
    expect([...classes]).toEqual([0, 1, 0]);
    expect(scores[2]).toBeCloseTo(0.8 * Math.exp(-2), 6);
  });

  it('takes the best candidates of each level, and none below the threshold', () => {
    // Four places in a row, 8 pixels apart: far fewer than half of each other's area is outside, so NMS at 0.99 keeps all that come to it.
    const logits = [Float32Array.of(logit(0.2), logit(0.6), logit(0.4), logit(0.09))];
    const found = retinaNetInference(logits, [new Float32Array(16)], [{ height: 1, width: 4 }], anchors, transform, 1, {
      ...selection,
      nmsThreshold: 0.99,
    });
    expect([...found.rows]).toEqual([1, 2]);
    expect([...found.boxes.subarray(0, 4)]).toEqual([-8, -16, 24, 16]);
  });

  it('finds nothing where nothing is above the threshold', () => {
    const found = retinaNetInference([Float32Array.of(-9)], [new Float32Array(4)], [one], anchors, transform, 1, selection);
    expect(found.scores.length).toBe(0);
  });
});
