import { ConfigError } from '../errors.js';
import { boxAreas, iouRow } from '../structures/pairwise_iou.js';

export interface MatcherOptions {
  /** Ascending overlaps that part the labels: n of them for n + 1 labels. */
  readonly thresholds: readonly number[];
  /** From the lowest overlap to the highest: 0 background, -1 ignored, 1 foreground. */
  readonly labels: readonly number[];
  /** Every ground truth also keeps the candidates that overlap it most, however little that is. */
  readonly allowLowQualityMatches: boolean;
}

/** Which ground truth each candidate belongs to, and as what. */
export interface Matches {
  /** [N] rows of the ground truth; 0 where there is none at all. */
  readonly matches: Int32Array<ArrayBuffer>;
  /** [N] */
  readonly labels: Int8Array<ArrayBuffer>;
}

/**
 * Assigns candidates (anchors, proposals) to ground truth by overlap (Ren et al. 2015, section 3.1.2; Detectron2's `Matcher`): each takes the one that
 * it overlaps most, the first of equals, and the label of the interval `low <= overlap < high`.
 *
 * With low-quality matches every candidate that ties the best overlap of some ground truth becomes foreground but keeps its own match, which
 * may be another one; a ground truth that overlaps nothing ties everywhere and makes every candidate foreground, as in Detectron2.
 */
export class Matcher {
  private readonly thresholds: Float32Array;

  constructor(private readonly options: MatcherOptions) {
    const { thresholds, labels } = options;
    if (labels.length !== thresholds.length + 1)
      throw new ConfigError(
        `IOU_THRESHOLDS has ${thresholds.length} numbers and IOU_LABELS ${labels.length}; expected one label more than thresholds.`,
      );
    if (thresholds.some((value, i) => !(value > 0) || (i > 0 && value < thresholds[i - 1])))
      throw new ConfigError(`IOU_THRESHOLDS are [${thresholds.join(', ')}]; expected positive numbers in ascending order.`);
    if (labels.some((label) => ![-1, 0, 1].includes(label)))
      throw new ConfigError(`IOU_LABELS are [${labels.join(', ')}]; expected 0 (background), -1 (ignored) and 1 (foreground).`);
    this.thresholds = Float32Array.from(thresholds);
  }

  /** Matches by intersection over union. @param groundTruth [M, 4] @param candidates [N, 4] */
  matchBoxes(groundTruth: Float32Array, candidates: Float32Array): Matches {
    const areas = boxAreas(candidates);
    return this.match(groundTruth.length / 4, candidates.length / 4, (row, out) =>
      iouRow(groundTruth, row, candidates, areas, out),
    );
  }

  /**
   * @param rows    ground truths
   * @param columns candidates
   * @param quality writes the overlaps of one ground truth with all candidates; called once a row, so no matrix is held
   */
  match(rows: number, columns: number, quality: (row: number, out: Float32Array) => void): Matches {
    const matches = new Int32Array(columns);
    const labels = new Int8Array(columns);
    if (rows === 0 || columns === 0) return { matches, labels: labels.fill(this.options.labels[0]) };
    const best = new Float32Array(columns).fill(-Infinity);
    const values = new Float32Array(columns);
    const tied: number[] = [];
    for (let row = 0; row < rows; row++) {
      quality(row, values);
      let highest = -Infinity;
      for (let n = 0; n < columns; n++) {
        if (values[n] > best[n]) {
          best[n] = values[n];
          matches[n] = row;
        }
        if (values[n] > highest) highest = values[n];
      }
      if (this.options.allowLowQualityMatches) for (let n = 0; n < columns; n++) if (values[n] === highest) tied.push(n);
    }
    for (let n = 0; n < columns; n++) labels[n] = this.labelOf(best[n]);
    for (const n of tied) labels[n] = 1;
    return { matches, labels };
  }

  private labelOf(overlap: number): number {
    let interval = 0;
    while (interval < this.thresholds.length && overlap >= this.thresholds[interval]) interval++;
    return this.options.labels[interval];
  }
}
