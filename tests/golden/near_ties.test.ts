import { describe, expect, it } from 'vitest';
import { alignNearTies, type GoldenProposals } from './models/near_ties.js';
import type { HostTensor } from './layout.js';

const golden: GoldenProposals = {
  boxes: { shape: [3, 4], dtype: 'F32', data: Float32Array.of(0, 0, 4, 4, 5, 5, 9, 9, 1, 1, 2, 2) },
  logits: { shape: [3], dtype: 'F32', data: Float32Array.of(2, 1.00001, 1) },
  boxTolerance: 1e-3,
  logitTolerance: 1e-4,
};

const traced = (boxes: number[], logits: number[]): Map<string, HostTensor> =>
  new Map([
    ['proposals.0.boxes', { shape: [3, 4], data: boxes }],
    ['proposals.0.objectness_logits', { shape: [3], data: logits }],
    ['cls_logits', { shape: [3, 2], data: [1, 2, 3, 4, 5, 6] }],
  ]);

describe('alignNearTies', () => {
  it('exchanges two rows whose logits the tolerance cannot tell apart, and their class logits', () => {
    const ours = traced([0, 0, 4, 4, 1, 1, 2, 2, 5, 5, 9, 9], [2, 1.00002, 1.00001]);
    expect(alignNearTies(ours, [golden])).toContain('0:2');
    expect(Array.from(ours.get('proposals.0.boxes')!.data)).toEqual([0, 0, 4, 4, 5, 5, 9, 9, 1, 1, 2, 2]);
    expect(Array.from(ours.get('cls_logits')!.data)).toEqual([1, 2, 5, 6, 3, 4]);
  });

  it('leaves rows alone whose logits differ by more: the comparison then fails as it must', () => {
    const boxes = [5, 5, 9, 9, 0, 0, 4, 4, 1, 1, 2, 2];
    const ours = traced(boxes, [2, 1, 1]);
    expect(alignNearTies(ours, [golden])).toBe('');
    expect(Array.from(ours.get('proposals.0.boxes')!.data)).toEqual(boxes);
  });
});
