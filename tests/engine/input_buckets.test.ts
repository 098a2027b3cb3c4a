import { describe, expect, it } from 'vitest';
import { bucketFor, inputBuckets } from '../../src/engine/input_buckets.js';
import { resizeShortestEdgeShape } from '../../src/data/resize/resize.js';

describe('the sizes that inputs are padded to', () => {
  it('are three long sides, lying and standing, in multiples of what the model needs', () => {
    expect(inputBuckets(800, 1333, 32)).toEqual([
      [800, 800],
      [800, 1088],
      [1088, 800],
      [800, 1344],
      [1344, 800],
    ]);
    expect(inputBuckets(800, 1333, 0)).toEqual(inputBuckets(800, 1333, 32));
    expect(inputBuckets(512, 512, 32)).toEqual([[512, 512]]);
    expect(inputBuckets(800, 600, 32)).toContainEqual([608, 800]);
  });

  it('hold every picture after resizing, the smallest that does', () => {
    const buckets = inputBuckets(800, 1333, 32);
    for (let width = 10; width < 4000; width += 37)
      for (const height of [10, 333, 480, 1000, 3000]) {
        const [h, w] = resizeShortestEdgeShape(height, width, 800, 1333);
        const bucket = bucketFor(buckets, h, w)!;
        expect(bucket[0]).toBeGreaterThanOrEqual(h);
        expect(bucket[1]).toBeGreaterThanOrEqual(w);
        const fitting = buckets.filter(([bh, bw]) => bh >= h && bw >= w).map(([bh, bw]) => bh * bw);
        expect(bucket[0] * bucket[1]).toBe(Math.min(...fitting));
      }
  });

  it('hold no batch that is larger', () => {
    expect(bucketFor(inputBuckets(800, 1333, 32), 1333, 1333)).toBeUndefined();
  });
});
