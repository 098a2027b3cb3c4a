import type { EvaluationArrays } from './precision_recall.js';
import { numpyMean } from './numpy_mean.js';

/** The 12 numbers of boxes and masks, in COCO's order. */
export const DETECTION_STATS = ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'AR1', 'AR10', 'AR100', 'ARs', 'ARm', 'ARl'] as const;

/** The 10 numbers of keypoints, in COCO's order. */
export const KEYPOINT_STATS = ['AP', 'AP50', 'AP75', 'APm', 'APl', 'AR', 'AR50', 'AR75', 'ARm', 'ARl'] as const;

/** Names and values (0 to 1; -1: absent) of the COCO summary. */
export interface CocoSummary {
  names: readonly string[];
  stats: number[];
}

/**
 * COCO's 12 numbers (10 for keypoints).
 *
 * @param headlineLimit the detection limit of the first AP. Default, as in Detectron2: the largest of three. Plain pycocotools insists on 100,
 * and gives -1 where that is not among the limits.
 */
export function summarize(arrays: EvaluationArrays, headlineLimit?: number): CocoSummary {
  const { iouType, maxDetections } = arrays.parameters;
  if (iouType === 'keypoints') {
    const ap = (label: string, iou?: number) => meanPrecision(arrays, { label, iou, limit: 20 });
    const ar = (label: string, iou?: number) => meanRecall(arrays, { label, iou, limit: 20 });
    return {
      names: KEYPOINT_STATS,
      stats: [ap, ar].flatMap((f) => [f('all'), f('all', 0.5), f('all', 0.75), f('medium'), f('large')]),
    };
  }
  const limit = maxDetections[2];
  const ap = (label: string, iou?: number) => meanPrecision(arrays, { label, iou, limit });
  const ar = (label: string) => meanRecall(arrays, { label, limit });
  return {
    names: DETECTION_STATS,
    stats: [
      meanPrecision(arrays, { label: 'all', limit: headlineLimit ?? limit }),
      ap('all', 0.5),
      ap('all', 0.75),
      ap('small'),
      ap('medium'),
      ap('large'),
      meanRecall(arrays, { label: 'all', limit: maxDetections[0] }),
      meanRecall(arrays, { label: 'all', limit: maxDetections[1] }),
      ar('all'),
      ar('small'),
      ar('medium'),
      ar('large'),
    ],
  };
}

/** What a mean runs over; what is absent is not restricted. */
export interface Selection {
  /** Label of the area range. */
  label: string;
  /** One IoU threshold. */
  iou?: number | undefined;
  /** The limit of detections per image. */
  limit: number | undefined;
  /** Number into `categoryIds`. */
  category?: number;
}

/** The mean of the precisions that are there; -1 without any. */
export function meanPrecision(arrays: EvaluationArrays, selection: Selection): number {
  const [T, R, K, A, M] = arrays.shape;
  return mean(arrays, arrays.precision, selection, T, R, K, A, M);
}

/** The mean of the recalls that are there; -1 without any. */
export function meanRecall(arrays: EvaluationArrays, selection: Selection): number {
  const [T, , K, A, M] = arrays.shape;
  return mean(arrays, arrays.recall, selection, T, 1, K, A, M);
}

function mean(
  arrays: EvaluationArrays,
  values: Float64Array,
  selection: Selection,
  T: number,
  R: number,
  K: number,
  A: number,
  M: number,
): number {
  const { iouThresholds, areaRanges, maxDetections } = arrays.parameters;
  const a = areaRanges.findIndex((r) => r.label === selection.label);
  const m = maxDetections.findIndex((d) => d === selection.limit);
  if (a < 0 || m < 0) return -1;
  const present = new Float64Array(T * R * K);
  let count = 0;
  for (let t = 0; t < T; t++) {
    if (selection.iou !== undefined && iouThresholds[t] !== selection.iou) continue;
    for (let r = 0; r < R; r++)
      for (let k = selection.category ?? 0; k < (selection.category === undefined ? K : selection.category + 1); k++) {
        const value = values[(((t * R + r) * K + k) * A + a) * M + m]!;
        if (value > -1) present[count++] = value;
      }
  }
  return count === 0 ? -1 : numpyMean(present.subarray(0, count));
}
