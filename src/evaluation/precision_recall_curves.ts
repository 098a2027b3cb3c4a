import type { EvaluationArrays } from './precision_recall.js';

/** Precision at every recall threshold; null where a class has no objects. Four decimals. */
export interface PrecisionRecallCurves {
  recall: number[];
  /** Means over the classes that have objects, by IoU threshold: `0.50`, `0.75`, and `0.50:0.95` for the mean over all. */
  mean: Record<string, (number | null)[]>;
  /** At the first IoU threshold, in the order of the categories. */
  classes: (number | null)[][];
}

/** The curves of all sizes with the most detections. */
export function precisionRecallCurves(arrays: EvaluationArrays): PrecisionRecallCurves {
  const [T, R, K, A, M] = arrays.shape;
  const { iouThresholds, recallThresholds } = arrays.parameters;
  const at = (t: number, r: number, k: number): number => arrays.precision[((t * R + r) * K + k) * A * M + M - 1]!;
  const curve = (thresholds: readonly number[], classes: readonly number[]): (number | null)[] =>
    Array.from({ length: R }, (_, r) => {
      let [sum, n] = [0, 0];
      for (const t of thresholds)
        for (const k of classes) {
          const value = at(t, r, k);
          if (value > -1) [sum, n] = [sum + value, n + 1];
        }
      return n === 0 ? null : Math.round((1e4 * sum) / n) / 1e4;
    });
  const all = Array.from({ length: K }, (_, k) => k);
  const mean: PrecisionRecallCurves['mean'] = {};
  for (const wanted of [0.5, 0.75]) {
    const t = iouThresholds.findIndex((v) => Math.abs(v - wanted) < 1e-9);
    if (t >= 0) mean[wanted.toFixed(2)] = curve([t], all);
  }
  mean['0.50:0.95'] = curve(Array.from({ length: T }, (_, t) => t), all); // prettier-ignore
  return {
    recall: Array.from(recallThresholds, (v) => Math.round(v * 1e4) / 1e4),
    mean,
    classes: all.map((k) => curve([0], [k])),
  };
}
