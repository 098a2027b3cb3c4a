import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import { softNms, type SoftNmsOptions } from '../../../src/ops/nms/soft_nms.js';
import { clustered, plainSoftNms } from './problems.js';

// IoU of the first two is 1/2 (4x4 and 4x2 inside it); the third is apart.
const boxes = Float32Array.of(0, 0, 4, 4, 0, 0, 4, 2, 9, 9, 10, 10);
const scores = Float32Array.of(0.9, 0.8, 0.6);
const one = new Int32Array(3);
const linear: SoftNmsOptions = { method: 'linear', iouThreshold: 0.3, sigma: 0.5, scoreThreshold: 0.01 };

describe('softNms', () => {
  it('decays linearly by 1 - IoU above the threshold, and not at it', () => {
    const result = softNms(boxes, scores, one, linear);
    expect([...result.indices]).toEqual([0, 2, 1]);
    expect([...result.scores]).toEqual([scores[0], scores[2], Math.fround(scores[1] / 2)]);
    expect([...softNms(boxes, scores, one, { ...linear, iouThreshold: 0.5 }).scores]).toEqual([...scores]);
    expect([...scores]).toEqual([0.9, 0.8, 0.6].map(Math.fround));
  });

  it('decays by a gaussian', () => {
    const result = softNms(boxes, scores, one, { ...linear, method: 'gaussian', iouThreshold: 0, sigma: 0.5 });
    expect([...result.indices]).toEqual([0, 2, 1]);
    expect(result.scores[2]).toBeCloseTo(0.8 * Math.exp(-0.5), 6);
  });

  it('drops what is not above the score threshold, selects no more than asked, and leaves other groups alone', () => {
    expect([...softNms(boxes, scores, one, { ...linear, scoreThreshold: 0.5 }).indices]).toEqual([0, 2]);
    expect([...softNms(boxes, scores, one, { ...linear, scoreThreshold: 0.6 }).indices]).toEqual([0]);
    expect([...softNms(boxes, scores, one, { ...linear, most: 2 }).indices]).toEqual([0, 2]);
    expect([...softNms(boxes, scores, Int32Array.of(0, 1, 0), linear).scores]).toEqual([...scores]);
    expect(softNms(new Float32Array(0), new Float32Array(0), new Int32Array(0), linear).indices.length).toBe(0);
  });

  it('takes the first of equal scores', () => {
    // The same box four times: 1 - IoU is 0.
    const same = Float32Array.from({ length: 16 }, (_, k) => [0, 0, 5, 5][k % 4]);
    const equal = new Float32Array(4).fill(0.7);
    expect([...softNms(same, equal, new Int32Array(4), linear).indices]).toEqual([0]);
    expect([...softNms(same, equal, Int32Array.of(1, 0, 1, 0), linear).indices]).toEqual([0, 1]);
  });

  it.each(['linear', 'gaussian'] as const)('equals the plain loops on many boxes with equal scores: %s', (method) => {
    for (const [seed, scoreThreshold, most] of [
      [1, 0.05, 900],
      [2, 0, 900],
      [3, 0.001, 100],
    ] as const) {
      const many = clustered(700, 4, seed);
      const o = { ...linear, method, scoreThreshold, most };
      const { indices, scores } = softNms(many.boxes, many.scores, many.groups, o);
      expect([...indices].map((i, k) => [i, scores[k]])).toEqual(plainSoftNms(many.boxes, many.scores, many.groups, o));
    }
  });

  it('names what does not fit', () => {
    expect(() => softNms(boxes, scores, one, { ...linear, method: 'gaussian', sigma: 0 })).toThrow('sigma is 0');
    expect(() => softNms(boxes, scores, one, { ...linear, iouThreshold: NaN })).toThrow('IoU threshold is NaN');
    expect(() => softNms(boxes, scores, new Int32Array(2), linear)).toThrow('2 groups for 3 boxes');
    expect(() => softNms(boxes.subarray(4), scores, one, linear)).toThrow(ArgumentError);
  });
});
