import { describe, expect, it } from 'vitest';
import { sampleProposals } from '../../src/roi_heads/sample_proposals.js';
import { Matcher } from '../../src/rpn/matcher.js';
import { givenOrder } from '../given_order.js';

const matcher = new Matcher({ thresholds: [0.5], labels: [0, 1], allowLowQualityMatches: false });
const sampling = { matcher, batchSizePerImage: 4, positiveFraction: 0.5, appendGroundTruth: true, numClasses: 3 };
const proposals = Float32Array.of(50, 0, 60, 10, 0, 0, 10, 9, 70, 0, 80, 10, 20, 0, 30, 8);
const groundTruth = { boxes: Float32Array.of(0, 0, 10, 10, 20, 0, 30, 10), classes: Int32Array.of(2, 0) };

describe('sampleProposals', () => {
  it('puts foreground first, with class and box of its match, then background', () => {
    const sampled = sampleProposals(proposals, groundTruth, sampling, givenOrder);
    expect([...sampled.classes]).toEqual([2, 0, 3, 3]);
    expect(sampled.foregroundCount).toBe(2);
    expect([...sampled.boxes]).toEqual([0, 0, 10, 9, 20, 0, 30, 8, 50, 0, 60, 10, 70, 0, 80, 10]);
    expect([...sampled.targets.subarray(0, 8)]).toEqual([...groundTruth.boxes]);
    expect([...sampled.matches.subarray(0, 2)]).toEqual([0, 1]);
  });
  it('appends ground truth to the candidates, unless told not to', () => {
    const none = new Float32Array(0);
    expect([...sampleProposals(none, groundTruth, sampling, givenOrder).boxes]).toEqual([...groundTruth.boxes]);
    expect(sampleProposals(none, groundTruth, { ...sampling, appendGroundTruth: false }, givenOrder).classes).toHaveLength(0);
  });
  it('takes only background where the image has no objects', () => {
    const empty = { boxes: new Float32Array(0), classes: new Int32Array(0) };
    const sampled = sampleProposals(proposals, empty, sampling, givenOrder);
    expect([...sampled.classes]).toEqual([3, 3, 3, 3]);
    expect([...sampled.targets]).toEqual(new Array(16).fill(0));
  });
});
