import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import { Matcher } from '../../src/rpn/matcher.js';

/** Rows are ground truths, columns candidates. */
function match(matrix: number[][], allowLowQualityMatches: boolean, thresholds = [0.3, 0.7], labels = [0, -1, 1]) {
  const matcher = new Matcher({ thresholds, labels, allowLowQualityMatches });
  const result = matcher.match(matrix.length, matrix[0]?.length ?? 3, (row, out) => out.set(matrix[row]));
  return { matches: [...result.matches], labels: [...result.labels] };
}

describe('Matcher', () => {
  it('takes the best ground truth, the first of equals, and labels by closed-open intervals', () => {
    const matrix = [[0.2, 0.3, 0.7, 0.5], [0.1, 0.3, 0.9, 0.6]]; // prettier-ignore
    expect(match(matrix, false)).toEqual({ matches: [0, 0, 1, 1], labels: [0, -1, 1, -1] });
  });

  it('keeps for every ground truth all its best candidates, each with its own match', () => {
    const matrix = [[0.2, 0.2, 0.1, 0.1], [0.1, 0.5, 0.6, 0.1]]; // prettier-ignore
    expect(match(matrix, true)).toEqual({ matches: [0, 1, 1, 0], labels: [1, 1, 1, 0] });
  });

  it('makes everything foreground where a ground truth overlaps nothing, as Detectron2 does', () => {
    expect(match([[0.8, 0.1, 0.4], [0, 0, 0]], true).labels).toEqual([1, 1, 1]); // prettier-ignore
  });

  it('labels everything as the lowest interval where there is no ground truth', () => {
    expect(match([], true)).toEqual({ matches: [0, 0, 0], labels: [0, 0, 0] });
  });

  it('matches boxes by intersection over union', () => {
    const matcher = new Matcher({ thresholds: [0.5], labels: [0, 1], allowLowQualityMatches: false });
    const truth = Float32Array.of(0, 0, 10, 10, 20, 0, 30, 10);
    const candidates = Float32Array.of(0, 0, 10, 5, 0, 0, 10, 4, 21, 0, 30, 10);
    const { matches, labels } = matcher.matchBoxes(truth, candidates);
    expect([[...matches], [...labels]]).toEqual([[0, 0, 1], [1, 0, 1]]); // prettier-ignore
  });

  it.each([
    [[0.3], [0, -1, 1], 'IOU_LABELS'],
    [[0.7, 0.3], [0, -1, 1], 'ascending'],
    [[0.5], [0, 2], 'IOU_LABELS are [0, 2]'],
  ])('refuses thresholds %j with labels %j', (thresholds, labels, message) => {
    expect(() => match([[1]], false, thresholds, labels)).toThrow(ConfigError);
    expect(() => match([[1]], false, thresholds, labels)).toThrow(message);
  });
});
