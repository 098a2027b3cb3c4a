import type { CocoEval } from './coco_eval.js';
import { IGNORED, TRUE_POSITIVE } from './precision_recall.js';

/** Precision, recall and F1 of one class at one score threshold; NaN where there is nothing to divide by. */
export interface OperatingPoint {
  /** Detections from this score on count. */
  threshold: number;
  truePositives: number;
  falsePositives: number;
  falseNegatives: number;
  precision: number;
  recall: number;
  f1: number;
}

/** One class at the asked threshold and at the one of the highest F1. */
export interface ClassOperatingPoints {
  categoryId: number;
  /** Objects of the class, crowds excluded. */
  objects: number;
  at: OperatingPoint;
  /** undefined when no detection counts. Of equal F1 the highest threshold is kept. */
  best: OperatingPoint | undefined;
}

/**
 * Per-class precision, recall and F1. Matching is COCO's; detections on crowds are neither right nor wrong. Greedy matching by falling score
 * means that dropping low scores never changes the matches above, so one matching serves every threshold.
 *
 * @param evaluation of boxes, masks or keypoints; its first IoU threshold and first area range are used
 * @param threshold score from which detections count
 */
export function operatingPoints(evaluation: CocoEval, threshold: number): ClassOperatingPoints[] {
  const { categoryIds, useCategories } = evaluation.parameters;
  return (useCategories ? categoryIds : [-1]).map((categoryId, k) => {
    const { scores, outside, counted, candidates, kinds } = evaluation.categoryOutcomes(k);
    const objects = counted[0]!;
    const kindOf = new Uint8Array(scores.length);
    candidates.forEach((d, c) => (kindOf[d] = kinds[c]!));
    let right = 0;
    let wrong = 0;
    let at = point(threshold, 0, 0, objects);
    let best: OperatingPoint | undefined;
    scores.forEach((score, d) => {
      if (kindOf[d] === TRUE_POSITIVE) right++;
      else if (kindOf[d] !== IGNORED && !outside[d]) wrong++;
      // Detections of one score stand or fall together; ones that count neither way make no point.
      if (scores[d + 1] === score || right + wrong === 0) return;
      const here = point(score, right, wrong, objects);
      if (!best || here.f1 > best.f1) best = here;
      if (score >= threshold) at = { ...here, threshold };
    });
    return { categoryId, objects, at, best: objects > 0 ? best : undefined };
  });
}

function point(threshold: number, right: number, wrong: number, objects: number): OperatingPoint {
  const divide = (a: number, b: number) => (b === 0 ? NaN : a / b);
  return {
    threshold,
    truePositives: right,
    falsePositives: wrong,
    falseNegatives: objects - right,
    precision: divide(right, right + wrong),
    recall: divide(right, objects),
    f1: divide(2 * right, right + wrong + objects),
  };
}
