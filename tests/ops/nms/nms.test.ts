import fc from '../../properties.js';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import { batchedNms, nms } from '../../../src/ops/nms/nms.js';
import { softNms } from '../../../src/ops/nms/soft_nms.js';
import { goldenCases } from '../golden_cases.js';

const f = Math.fround;

/** torchvision's two loops, word for word: the later box is suppressed when float32 IoU > threshold as doubles. */
function plainNms(boxes: Float32Array, scores: Float32Array, threshold: number): number[] {
  const order = [...scores.keys()].sort((i, j) => scores[j] - scores[i] || i - j);
  const area = (i: number) => f(f(boxes[4 * i + 2] - boxes[4 * i]) * f(boxes[4 * i + 3] - boxes[4 * i + 1]));
  const suppressed = new Set<number>();
  const kept: number[] = [];
  order.forEach((i, k) => {
    if (suppressed.has(i)) return;
    kept.push(i);
    for (const j of order.slice(k + 1)) {
      const w = Math.max(0, f(Math.min(boxes[4 * i + 2], boxes[4 * j + 2]) - Math.max(boxes[4 * i], boxes[4 * j])));
      const h = Math.max(0, f(Math.min(boxes[4 * i + 3], boxes[4 * j + 3]) - Math.max(boxes[4 * i + 1], boxes[4 * j + 1])));
      const inter = f(w * h);
      if (f(inter / f(f(area(i) + area(j)) - inter)) > threshold) suppressed.add(j);
    }
  });
  return kept;
}

const golden = goldenCases('batched_nms').filter(({ view }) => view.wants('keep'));

describe.skipIf(golden.length === 0)('batchedNms against the recorded lists', () => {
  it.each(golden.map((c) => [c.name, c] as const))('%s', (name, { view, file }) => {
    const boxes = view.float32('boxes');
    const scores = view.float32('scores');
    const keep = [...file.get(`${name}.out.keep`).data];
    const threshold = view.required<number>('iou_threshold');
    if (name.startsWith('ties')) expect([...nms(boxes, scores, threshold)]).toEqual(keep);
    else expect([...batchedNms(boxes, scores, Int32Array.from(view.input('idxs').data), threshold)]).toEqual(keep);
  });
});

describe('nms', () => {
  it('keeps the first of equal scores and suppresses strictly above the threshold', () => {
    // Two equal boxes; the third overlaps the first by exactly one half: 4x4 and 4x2 inside it.
    const boxes = Float32Array.of(0, 0, 4, 4, 0, 0, 4, 4, 0, 0, 4, 2);
    expect([...nms(boxes, Float32Array.of(0.5, 0.5, 0.4), 0.5)]).toEqual([0, 2]);
    expect([...nms(boxes, Float32Array.of(0.5, 0.5, 0.4), 0.49)]).toEqual([0]);
  });

  it('compares the float32 IoU with the threshold as a double', () => {
    // IoU 3/10: float32(0.3) lies above 0.3, so the box goes.
    const boxes = Float32Array.of(0, 0, 10, 1, 0, 0, 3, 1);
    expect([...nms(boxes, Float32Array.of(1, 0.5), 0.3)]).toEqual([0]);
    expect([...nms(boxes, Float32Array.of(1, 0.5), f(0.3))]).toEqual([0, 1]);
  });

  it('keeps boxes without area, and none of none', () => {
    expect([...nms(Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1), Float32Array.of(0.1, 0.2), 0.5)]).toEqual([1, 0]);
    expect([...nms(new Float32Array(0), new Float32Array(0), 0.5)]).toEqual([]);
    expect([...batchedNms(new Float32Array(0), new Float32Array(0), new Int32Array(0), 0.5)]).toEqual([]);
  });

  it('equals the plain loops on clustered boxes with tied scores', () => {
    const coordinate = fc.integer({ min: -8, max: 24 });
    const box = fc.tuple(
      coordinate,
      coordinate,
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 6 }),
    );
    fc.assert(
      fc.property(fc.array(box, { maxLength: 60 }), fc.constantFrom(0, 0.1, 0.3, 0.5, 0.7, 1), (list, threshold) => {
        const boxes = Float32Array.from(list.flatMap(([x, y, w, h]) => [x / 3, y / 3, (x + w) / 3, (y + h) / 3]));
        const scores = Float32Array.from(list, (entry) => entry[4] / 6);
        expect([...nms(boxes, scores, threshold)]).toEqual(plainNms(boxes, scores, threshold));
      }),
    );
  });

  it('separates groups below and above the number where the method changes', () => {
    for (const n of [1000, 1002]) {
      const boxes = Float32Array.from({ length: 4 * n }, (_, k) => [0, 0, 10, 10][k % 4]);
      const scores = Float32Array.from({ length: n }, (_, k) => 1 - k / n);
      const groups = Int32Array.from({ length: n }, (_, k) => k % 3);
      expect([...batchedNms(boxes, scores, groups, 0.5)]).toEqual([0, 1, 2]);
    }
  });

  it('names what does not fit', () => {
    expect(() => nms(new Float32Array(4), new Float32Array(2), 0.5)).toThrow(ArgumentError);
    expect(() => nms(new Float32Array(4), new Float32Array(1), NaN)).toThrow('IoU threshold is NaN');
    expect(() => batchedNms(new Float32Array(4), new Float32Array(1), new Int32Array(2), 0.5)).toThrow('2 groups for 1 boxes');
  });
});

describe('softNms', () => {
  // IoU of the first two is 1/2 (4x4 and 4x2 inside it); the third is apart.
  const boxes = Float32Array.of(0, 0, 4, 4, 0, 0, 4, 2, 9, 9, 10, 10);
  const scores = Float32Array.of(0.9, 0.8, 0.6);

  it('decays linearly by 1 - IoU above the threshold', () => {
    const result = softNms(boxes, scores, { method: 'linear', iouThreshold: 0.3, sigma: 0.5, scoreThreshold: 0.01 });
    expect([...result.indices]).toEqual([0, 2, 1]);
    expect(result.scores[2]).toBeCloseTo(0.4, 6);
  });

  it('decays by a gaussian, and drops what falls below the score threshold', () => {
    const result = softNms(boxes, scores, { method: 'gaussian', iouThreshold: 0, sigma: 0.5, scoreThreshold: 0.1 });
    expect(result.scores[2]).toBeCloseTo(0.8 * Math.exp(-0.5), 6);
    expect([...softNms(boxes, scores, { method: 'linear', iouThreshold: 0.3, sigma: 1, scoreThreshold: 0.5 }).indices]).toEqual([
      0, 2,
    ]);
  });

  it('refuses a sigma that is not positive', () => {
    expect(() => softNms(boxes, scores, { method: 'gaussian', iouThreshold: 0, sigma: 0, scoreThreshold: 0 })).toThrow(
      'sigma is 0',
    );
  });
});
