import { describe, expect, it } from 'vitest';
import { AnchorGenerator } from '../../src/rpn/anchor_generator.js';
import { matterportProposals } from '../../src/rpn/matterport_rpn.js';
import { NormalisedTransform } from '../../src/rpn/normalised_transform.js';

const anchors = new AnchorGenerator({ sizes: [[8], [16]], aspectRatios: [[1]], strides: [16, 32], offset: 0 });
const levels = [
  { height: 4, width: 4 },
  { height: 2, width: 2 },
];
const transform = new NormalisedTransform([10, 10, 5, 5]);
const selection = { nmsThreshold: 0.7, preNmsTopK: 6, postNmsTopK: 8, minBoxSize: 0 };

/** Logits of 16 and 4 anchors, no deltas. */
function values(logits: Record<number, number>): Float32Array {
  const all = new Float32Array(20 * 5).fill(0);
  all.fill(-3, 0, 20);
  for (const [i, logit] of Object.entries(logits)) all[Number(i)] = logit;
  return all;
}

describe('matterportProposals', () => {
  it('all levels compete; the far corner is that of the last pixel; zeros fill up', () => {
    // Anchor 5 of the finer level: centre (16, 16), side 8. Anchor 3 of the coarser: centre (32, 32), side 16.
    const { boxes } = matterportProposals(values({ 5: 2, 19: 3 }), levels, anchors, transform, { ...selection, preNmsTopK: 2 });
    const near = (pixel: number) => pixel / 63;
    const expected = [24, 24, 39, 39, 12, 12, 19, 19].map(near);
    expected.forEach((v, i) => expect(Math.abs(boxes[i]! - v)).toBeLessThan(1e-6));
    expect(boxes).toHaveLength(8 * 4);
    expect([...boxes.subarray(8)]).toEqual(new Array(24).fill(0));
  });

  it('probabilities that are 1 in float32 tie, and go by position', () => {
    const { objectnessLogits } = matterportProposals(values({ 5: 20, 10: 30 }), levels, anchors, transform, selection);
    expect([...objectnessLogits.subarray(0, 2)]).toEqual([20, 30]);
  });

  it('boxes are clipped to the padded input and none is dropped for its size', () => {
    const { boxes } = matterportProposals(values({ 0: 2 }), levels, anchors, transform, { ...selection, preNmsTopK: 1 });
    [0, 0, 3 / 63, 3 / 63].forEach((v, i) => expect(Math.abs(boxes[i]! - v)).toBeLessThan(1e-6));
  });
});

describe('NormalisedTransform', () => {
  it('multiplies deltas by the inverse weights and does not clamp the scale', () => {
    const out = new Float32Array(4);
    transform.decode(Float32Array.of(1, 2, 0, 5 * Math.log(100)), 0, Float32Array.of(0.2, 0.4, 0.4, 0.5), 0, out, 0);
    // Width 0.2, height 0.1: centre (0.3 + 0.02, 0.45 + 0.02), sizes 0.2 and 0.1 * 100.
    [0.22, -4.53, 0.42, 5.47].forEach((v, i) => expect(Math.abs(out[i]! - v)).toBeLessThan(1e-5));
  });
});
