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

  it('exchanges them among rows that a GPU filled up, and in the stages of a cascade', () => {
    const ours = traced([0, 0, 4, 4, 1, 1, 2, 2, 5, 5, 9, 9], [2, 1.00002, 1.00001]);
    ours.set('cls_logits', { shape: [5, 1], data: [1, 2, 3, 4, 5] });
    ours.set('cls_logits.1', { shape: [3, 1], data: [1, 2, 3] });
    alignNearTies(ours, [golden]);
    expect(Array.from(ours.get('cls_logits')!.data)).toEqual([1, 3, 2, 4, 5]);
    expect(Array.from(ours.get('cls_logits.1')!.data)).toEqual([1, 3, 2]);
  });

  it('keeps images apart that a GPU filled up to the same number', () => {
    const ours = traced([0, 0, 4, 4, 5, 5, 9, 9, 1, 1, 2, 2], [2, 1.00001, 1]);
    ours.set('proposals.1.boxes', { shape: [3, 4], data: [0, 0, 4, 4, 1, 1, 2, 2, 5, 5, 9, 9] });
    ours.set('proposals.1.objectness_logits', { shape: [3], data: [2, 1.00002, 1.00001] });
    ours.set('cls_logits', { shape: [8, 1], data: [1, 2, 3, 0, 4, 5, 6, 0] });
    expect(alignNearTies(ours, [golden, golden])).toContain('1:2');
    expect(Array.from(ours.get('cls_logits')!.data)).toEqual([1, 2, 3, 0, 4, 6, 5, 0]);
  });

  it('leaves rows alone whose logits differ by more: the comparison then fails as it must', () => {
    const boxes = [5, 5, 9, 9, 0, 0, 4, 4, 1, 1, 2, 2];
    const ours = traced(boxes, [2, 1, 1]);
    expect(alignNearTies(ours, [golden])).toBe('');
    expect(Array.from(ours.get('proposals.0.boxes')!.data)).toEqual(boxes);
  });
});
