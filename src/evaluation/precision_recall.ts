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
  /** Score at which the recall is reached, [T, R, K, A, M]. */
  scores: Float64Array;
}

/** A detection that is right. */
export const TRUE_POSITIVE = 1;
/** A detection that counts neither way: it took an ignored object. */
export const IGNORED = 2;

/** What became of the detections of one category. */
export interface CategoryOutcomes {
  /** D scores over all images, descending; ties by image, then place in the file. */
  scores: Float64Array;
  /** Rank of each detection within its image. */
  ranks: Int32Array;
  /** [A, D] flags: size outside the area range, so that it counts neither way unless it is matched. */
  outside: Uint8Array;
  /** Per area range the objects that are not ignored. */
  counted: Int32Array;
  /** C places of detections that had an object of the category in their image, ascending; the others are matched nowhere. */
  candidates: Int32Array;
  /** [A, T, C]: {@link TRUE_POSITIVE}, {@link IGNORED} or 0 for not matched. */
  kinds: Uint8Array;
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
 * before, and recall thresholds are reached at true positives only (threshold 0 at the first detection of all). So only detections that can be
 * matched are walked for every threshold; how many of the others lie before them is counted once per area range and limit.
 */
export function accumulateCategory(out: EvaluationArrays, k: number, outcomes: CategoryOutcomes): void {
  const [T, R, K, A, M] = out.shape;
  const { maxDetections, recallThresholds } = out.parameters;
  const { scores, ranks, outside, counted, candidates, kinds } = outcomes;
  const [D, C] = [scores.length, candidates.length];
  const precisions = new Float64Array(C);
  const reached = new Float64Array(C);
  const before = new Int32Array(C);
  for (let a = 0; a < A; a++) {
    const positives = counted[a]!;
    if (positives === 0) continue;
    for (let m = 0; m < M; m++) {
      const most = maxDetections[m]!;
      // Detections up to each candidate that would be false positives if none were matched.
      for (let d = 0, c = 0, wrong = 0; c < C; d++) {
        if (ranks[d]! < most && !outside[a * D + d]) wrong++;
        if (candidates[c] === d) before[c++] = wrong;
      }
      for (let t = 0; t < T; t++) {
        const from = (a * T + t) * C;
        let truePositives = 0;
        let matchedInside = 0;
        for (let c = 0; c < C; c++) {
          const kind = kinds[from + c]!;
          if (kind === 0) continue;
          const d = candidates[c]!;
          if (ranks[d]! >= most) continue;
          if (!outside[a * D + d]) matchedInside++;
          if (kind !== TRUE_POSITIVE) continue;
          const falsePositives = before[c]! - matchedInside;
          reached[truePositives] = scores[d]!;
          truePositives++;
          precisions[truePositives - 1] = truePositives / (falsePositives + truePositives + 2 ** -52);
        }
        for (let i = truePositives - 1; i > 0; i--) if (precisions[i]! > precisions[i - 1]!) precisions[i - 1] = precisions[i]!;
        out.recall[((t * K + k) * A + a) * M + m] = truePositives / positives;
        let i = 0;
        for (let r = 0; r < R; r++) {
          const threshold = recallThresholds[r]!;
          const at = (((t * R + r) * K + k) * A + a) * M + m;
          let value = 0;
          let score = 0;
          if (threshold <= 0) {
            if (D > 0) {
              value = truePositives > 0 ? precisions[0]! : 0;
              score = scores[0]!;
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
