import { describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { labelAnchors } from '../../src/rpn/label_anchors.js';
import { Matcher } from '../../src/rpn/matcher.js';
import { subsampleLabels } from '../../src/rpn/subsample_labels.js';
import { givenOrder } from '../given_order.js';

const matcher = new Matcher({ thresholds: [0.3, 0.7], labels: [0, -1, 1], allowLowQualityMatches: true });
const sampling = { matcher, batchSizePerImage: 4, positiveFraction: 0.5, boundaryThreshold: -1 };
const anchors = Float32Array.from([0, 10, 20, 30, 40, 50].flatMap((x) => [x, 0, x + 10, 10]));

describe('subsampleLabels', () => {
  it('draws at most the share of foreground and fills up with background', () => {
    const { foreground, background } = subsampleLabels([1, 0, -1, 1, 2, 0, 0, 0], 4, 0.5, 0, givenOrder);
    expect([[...foreground], [...background]]).toEqual([[0, 3], [1, 5]]); // prettier-ignore
  });
  it('takes more background where foreground is scarce, and what there is where both are', () => {
    expect(subsampleLabels([0, 0, 1, 0], 4, 0.5, 0, givenOrder).background).toHaveLength(3);
    expect(subsampleLabels([0, 1], 4, 0.5, 0, givenOrder).background).toHaveLength(1);
  });
  it('draws every row equally often', () => {
    const random = new Random(1);
    const drawn = new Array<number>(8).fill(0);
    for (let i = 0; i < 8000; i++)
      for (const row of subsampleLabels(new Int8Array(8), 2, 0.5, 0, random).background) drawn[row]++;
    for (const count of drawn) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });
});

describe('labelAnchors', () => {
  it('gives foreground its boxes, and draws a batch', () => {
    const boxes = Float32Array.of(10, 0, 20, 10, 33, 0, 43, 10);
    const result = labelAnchors(anchors, boxes, [10, 60], sampling, givenOrder);
    // The second box overlaps anchor 3 by 7/13 and is its best.
    expect([...result.labels]).toEqual([0, 1, 0, 1, -1, -1]);
    expect([...result.foreground]).toEqual([1, 3]);
    expect([...result.targets]).toEqual([...boxes]);
  });
  it('ignores anchors outside of the image where a threshold is set', () => {
    const result = labelAnchors(anchors, new Float32Array(0), [11, 30], { ...sampling, boundaryThreshold: 0 }, givenOrder);
    expect([...result.labels]).toEqual([0, 0, -1, -1, -1, -1]);
    expect(result.targets).toHaveLength(0);
  });
});
