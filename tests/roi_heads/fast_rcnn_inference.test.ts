import { describe, expect, it } from 'vitest';
import { fastRcnnInference } from '../../src/roi_heads/fast_rcnn_inference.js';
import { assignLevels } from '../../src/ops/roi_align/levels.js';

describe('fastRcnnInference', () => {
  it('drops rows that are not finite, compares scores strictly, suppresses per class and keeps the best', () => {
    // Two classes and the background; boxes are shared by the classes (4 columns).
    const boxes = Float32Array.of(NaN, 0, 1, 1, 0, 0, 10, 10, 1, 0, 11, 10, -5, 0, 300, 10);
    const scores = Float32Array.of(0.9, 0.05, 0.05, 0.8, 0.5, 0.1, 0.7, 0.25, 0.05, 0.1, 0.6, 0.3);
    const found = fastRcnnInference(boxes, scores, 4, [20, 100], { scoreThreshold: 0.25, nmsThreshold: 0.5, topK: 10 });
    // Class 0: 0.8 suppresses 0.7 (IoU 90/110 > 0.5). Class 1: 0.6 and 0.5 do not meet; 0.25 is not above the threshold.
    expect([...found.classes]).toEqual([0, 1, 1]);
    expect([...found.scores]).toEqual([0.8, 0.6, 0.5].map(Math.fround));
    expect([...found.rows]).toEqual([0, 2, 0]);
    expect([...found.boxes.subarray(4, 8)]).toEqual([0, 0, 100, 10]);
  });

  it('lets scores decay within a class in the place of dropping, and sorts by what they have become', () => {
    const boxes = Float32Array.of(0, 0, 10, 10, 0, 0, 10, 5, 40, 0, 50, 10);
    // One class; the second box has half of the first one's area in common with it.
    const scores = Float32Array.of(0.9, 0.1, 0.8, 0.2, 0.5, 0.5);
    const selection = { scoreThreshold: 0.05, nmsThreshold: 0.3, topK: 10 };
    const find = (method: 'linear' | 'gaussian', rest = {}) =>
      fastRcnnInference(boxes, scores, 3, [60, 60], { ...selection, softNms: { method, sigma: 0.5 }, ...rest });
    const linear = find('linear');
    expect([...linear.scores]).toEqual([scores[0], scores[4], Math.fround(scores[2] / 2)]);
    expect([...linear.rows]).toEqual([0, 2, 1]);
    expect([...linear.boxes.subarray(8)]).toEqual([0, 0, 10, 5]);
    expect([...find('gaussian').scores]).toEqual([scores[0], scores[4], Math.fround(scores[2] * Math.exp(-0.5))]);
    expect([...find('linear', { topK: 1 }).rows]).toEqual([0]);
    expect([...find('linear', { scoreThreshold: 0.4 }).rows]).toEqual([0, 2]);
    expect([...fastRcnnInference(boxes, scores, 3, [60, 60], selection).rows]).toEqual([0, 2]);
  });

  it('answers no proposals with no detections', () => {
    const found = fastRcnnInference(new Float32Array(0), new Float32Array(0), 0, [10, 10], {
      scoreThreshold: 0,
      nmsThreshold: 0.5,
      topK: 5,
    });
    expect(found.scores.length).toBe(0);
  });
});

describe('assignLevels', () => {
  it('puts a 224 pixel box on level 4, halves and doubles beside it, and inverted boxes on none', () => {
    const side = (s: number): number[] => [0, 0, 0, s, s];
    const rois = Float32Array.from([...side(224), ...side(112), ...side(448), ...side(10), ...side(2000), 0, 5, 5, 3, 9]);
    expect([...assignLevels(rois, 2, 5)]).toEqual([2, 1, 3, 0, 3, -2]);
  });
});
