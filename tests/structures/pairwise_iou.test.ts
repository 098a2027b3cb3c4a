import { describe, expect, it } from 'vitest';
import { boxAreas, pairwiseIoa, pairwiseIou } from '../../src/structures/pairwise_iou.js';

const a = Float32Array.of(0, 0, 4, 4, 10, 10, 12, 14);
const b = Float32Array.of(2, 2, 6, 6, 0, 0, 4, 4, 4, 0, 8, 4, 11, 11, 11, 13);

describe('overlaps of boxes', () => {
  it('are intersection over union, 0 for boxes that only touch or are empty', () => {
    expect([...pairwiseIou(a, b)]).toEqual([Math.fround(4 / 28), 1, 0, 0, 0, 0, 0, 0]);
  });
  it('over the area of the second', () => {
    expect([...pairwiseIoa(a, b)]).toEqual([0.25, 1, 0, 0, 0, 0, 0, 0]);
  });
  it('have no rows without boxes', () => {
    expect(pairwiseIou(new Float32Array(0), b)).toHaveLength(0);
    expect(pairwiseIou(a, new Float32Array(0))).toHaveLength(0);
  });
  it('areas', () => expect([...boxAreas(a)]).toEqual([16, 8]));
});
