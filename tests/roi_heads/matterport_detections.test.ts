import { describe, expect, it } from 'vitest';
import { matterportDetections } from '../../src/roi_heads/matterport_detections.js';

const selection = { scoreThreshold: 0.7, nmsThreshold: 0.3, topK: 2 };
/** The same box for both classes. */
const twice = (...boxes: number[][]): Float32Array => Float32Array.from(boxes.flatMap((box) => [...box, ...box]));

describe('matterportDetections', () => {
  it('takes the likeliest class alone, from the threshold on, and none where the background wins', () => {
    const boxes = twice([0, 0, 0.1, 0.1], [0.2, 0.2, 0.3, 0.3], [0.5, 0.5, 0.6, 0.6], [0.7, 0.7, 0.8, 0.8]);
    const scores = Float32Array.of(0.1, 0.2, 0.7, 0.7, 0.2, 0.1, 0.15, 0.8, 0.05, 0.1, 0.69, 0.21);
    const found = matterportDetections(boxes, scores, 4, [0, 0, 1, 1], selection);
    expect([...found.classes]).toEqual([1, 0]);
    expect([...found.rows]).toEqual([2, 1]);
    expect([...found.scores]).toEqual([Math.fround(0.8), Math.fround(0.7)]);
  });

  it('clips to the window, suppresses within classes, and keeps the best', () => {
    const same = [0, 0.2, 0.5, 0.9];
    const boxes = twice(same, same, same, [0.6, 0.6, 0.65, 0.65]);
    const scores = Float32Array.of(0.9, 0.05, 0.05, 0.95, 0.03, 0.02, 0.1, 0.8, 0.1, 0.75, 0.2, 0.05);
    const found = matterportDetections(boxes, scores, 4, [0.125, 0.25, 0.875, 0.75], selection);
    expect([...found.rows]).toEqual([1, 2]);
    expect([...found.boxes]).toEqual([0.125, 0.25, 0.5, 0.75, 0.125, 0.25, 0.5, 0.75]);
  });

  it('equal scores keep the order of the regions', () => {
    const boxes = twice([0.5, 0.5, 0.6, 0.6], [0, 0, 0.1, 0.1], [0.2, 0.2, 0.3, 0.3]);
    const scores = Float32Array.of(0.1, 0.8, 0.1, 0.8, 0.1, 0.1, 0.1, 0.8, 0.1);
    expect([...matterportDetections(boxes, scores, 3, [0, 0, 1, 1], selection).rows]).toEqual([0, 1]);
  });

  it('nothing gives nothing', () => {
    const found = matterportDetections(new Float32Array(0), new Float32Array(0), 0, [0, 0, 1, 1], selection);
    expect(found.scores).toHaveLength(0);
  });
});
