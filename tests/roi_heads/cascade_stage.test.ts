import { describe, expect, it } from 'vitest';
import { nextStageRegions } from '../../src/roi_heads/cascade_stage.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';
import { Matcher } from '../../src/rpn/matcher.js';

const matcher = new Matcher({ thresholds: [0.6], labels: [0, 1], allowLowQualityMatches: false });
const transform = new Box2BoxTransform([10, 10, 5, 5]);
const groundTruth = { boxes: Float32Array.of(10, 0, 20, 10, 0, 0, 6, 6), classes: Int32Array.of(2, 1) };

describe('nextStageRegions', () => {
  const boxes = Float32Array.of(0, 0, 10, 10, 30, 30, 40, 40, 0, 0, 10, 10);
  // One width to the right; out of the picture; unmoved.
  const deltas = Float32Array.of(10, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0);

  it("moves, clips, drops what is empty, and labels by the stage's own threshold", () => {
    const next = nextStageRegions(boxes, deltas, transform, [32, 40], groundTruth, matcher, 3);
    expect([...next.boxes]).toEqual([10, 0, 20, 10, 0, 0, 10, 10]);
    // The second overlaps its object by 36 / 100.
    expect([...next.classes]).toEqual([2, 3]);
    expect([...next.targets]).toEqual([10, 0, 20, 10, 0, 0, 6, 6]);
    expect([...next.matches]).toEqual([0, 1]);
    expect([...next.kept]).toEqual([0, 2]);
  });

  it('makes everything background where the picture has no objects', () => {
    const none = { boxes: new Float32Array(0), classes: new Int32Array(0) };
    const next = nextStageRegions(boxes, deltas, transform, [32, 40], none, matcher, 3);
    expect([[...next.classes], [...next.targets]]).toEqual([[3, 3], new Array(8).fill(0)]);
  });
});
