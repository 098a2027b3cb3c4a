import type { EvaluationParameters } from './evaluation_parameters.js';

/** COCOeval's result arrays, C order; -1 is absent. */
export interface EvaluationArrays {
  parameters: EvaluationParameters;
  /** Thresholds, recall thresholds, categories, area ranges, detection limits. */
  shape: [T: number, R: number, K: number, A: number, M: number];
  /** [T, R, K, A, M] */
  precision: Float64Array;
  /** [T, K, A, M] */
  recall: Float64Array;
  /** [T, R, K, A, M]: score at which the recall is reached. */
  scores: Float64Array;
}

/** What one image contributes to a category. */
export interface ImageOutcome {
  /** D scores, descending. */
  scores: Float64Array;
  /** Per area range the ground truth that is not ignored. */
  counted: Int32Array;
  /** [A, T, D]: 0 false positive, 1 true positive, 2 ignored. */
  outcome: Uint8Array;
}

/** Arrays full of -1. */
export function emptyArrays(parameters: EvaluationParameters): EvaluationArrays {
  const T = parameters.iouThresholds.length;
  const R = parameters.recallThresholds.length;
  const K = parameters.useCategories ? parameters.categoryIds.length : 1;
  const A = parameters.areaRanges.length;
  const M = parameters.maxDetections.length;
  return {
    parameters,
    shape: [T, R, K, A, M],
    precision: new Float64Array(T * R * K * A * M).fill(-1),
    recall: new Float64Array(T * K * A * M).fill(-1),
    scores: new Float64Array(T * R * K * A * M).fill(-1),
  };
}

/**
 * Fills category `k`. The precision envelope only has to be known at true positives: everywhere else it is not higher than at the true positive
 * before, and recall thresholds are reached at true positives only (threshold 0 at the first detection of all).
 *
 * @param images by ascending image id: ties in score keep this order
 */
export function accumulateCategory(out: EvaluationArrays, k: number, images: readonly ImageOutcome[]): void {
  if (images.length === 0) return;
  const [T, R, K, A, M] = out.shape;
  const { maxDetections, recallThresholds } = out.parameters;
  let total = 0;
  for (const image of images) total += image.scores.length;
  const unsorted = new Float64Array(total);
  const ranks = new Int32Array(total);
  let n = 0;
  for (const { scores } of images)
    for (let d = 0; d < scores.length; d++) {
      unsorted[n] = scores[d]!;
      ranks[n++] = d;
    }
  const order = new Int32Array(total);
  for (let i = 0; i < total; i++) order[i] = i;
  order.sort((a, b) => unsorted[b]! - unsorted[a]!);
  const sortedScores = new Float64Array(total);
  const sortedRanks = new Int32Array(total);
  for (let i = 0; i < total; i++) {
    sortedScores[i] = unsorted[order[i]!]!;
    sortedRanks[i] = ranks[order[i]!]!;
  }
  const joined = new Uint8Array(total);
  const sorted = new Uint8Array(total);
  for (let a = 0; a < A; a++) {
    let positives = 0;
    for (const image of images) positives += image.counted[a]!;
    if (positives === 0) continue;
    const precisions = new Float64Array(positives);
    const reached = new Float64Array(positives);
    for (let t = 0; t < T; t++) {
      let p = 0;
      for (const image of images) {
        const D = image.scores.length;
        const from = (a * T + t) * D;
        for (let d = 0; d < D; d++) joined[p++] = image.outcome[from + d]!;
      }
      for (let i = 0; i < total; i++) sorted[i] = joined[order[i]!]!;
      for (let m = 0; m < M; m++) {
        const most = maxDetections[m]!;
        let truePositives = 0;
        let falsePositives = 0;
        let first = -1;
        for (let i = 0; i < total; i++) {
          if (sortedRanks[i]! >= most) continue;
          if (first < 0) first = i;
          const kind = sorted[i]!;
          if (kind === 1) {
            reached[truePositives] = sortedScores[i]!;
            truePositives++;
            precisions[truePositives - 1] = truePositives / (falsePositives + truePositives + 2 ** -52);
          } else if (kind === 0) falsePositives++;
        }
        for (let i = truePositives - 1; i > 0; i--) if (precisions[i]! > precisions[i - 1]!) precisions[i - 1] = precisions[i]!;
        out.recall[((t * K + k) * A + a) * M + m] = first < 0 ? 0 : truePositives / positives;
        let i = 0;
        for (let r = 0; r < R; r++) {
          const threshold = recallThresholds[r]!;
          const at = (((t * R + r) * K + k) * A + a) * M + m;
          let value = 0;
          let score = 0;
          if (threshold <= 0) {
            if (first >= 0) {
              value = truePositives > 0 ? precisions[0]! : 0;
              score = sortedScores[first]!;
            }
          } else {
            while (i < truePositives && (i + 1) / positives < threshold) i++;
            if (i < truePositives) {
              value = precisions[i]!;
              score = reached[i]!;
            }
          }
          out.precision[at] = value;
          out.scores[at] = score;
        }
      }
    }
  }
}
