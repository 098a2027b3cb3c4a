import { ArgumentError } from '../errors.js';

/** What an overlap is measured on. */
export type IouType = 'bbox' | 'segm' | 'keypoints';

/** The settings of a COCO evaluation, pycocotools' `Params`. */
export interface EvaluationParameters {
  iouType: IouType;
  /** false: category labels are ignored, as in proposal scoring. */
  useCategories: boolean;
  /** Ascending ids; only these images count. */
  imageIds: number[];
  /** Ascending ids, the K axis of the arrays. */
  categoryIds: number[];
  /** The T axis. */
  iouThresholds: Float64Array;
  /** The R axis. */
  recallThresholds: Float64Array;
  /** The M axis: most detections per image and category, ascending. */
  maxDetections: number[];
  /** The A axis: inclusive bounds in pixels. */
  areaRanges: { label: string; low: number; high: number }[];
  /** Standard deviations of keypoints, relative to the object's size. */
  keypointSigmas: number[];
}

/** What a caller may change; the rest are COCO's own values. */
export type EvaluationOptions = Partial<Omit<EvaluationParameters, 'iouType'>>;

/** COCO's standard deviations for the 17 keypoints of a person. */
export const COCO_PERSON_SIGMAS: readonly number[] = [
  0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89,
].map((s) => s / 10);

/**
 * COCO's settings for a task with some replaced.
 *
 * @throws ArgumentError for an empty or unsorted list of thresholds
 */
export function evaluationParameters(
  iouType: IouType,
  imageIds: Iterable<number>,
  categoryIds: Iterable<number>,
  options: EvaluationOptions = {},
): EvaluationParameters {
  const keypoints = iouType === 'keypoints';
  const areaRanges = [
    { label: 'all', low: 0, high: 1e10 },
    { label: 'small', low: 0, high: 32 ** 2 },
    { label: 'medium', low: 32 ** 2, high: 96 ** 2 },
    { label: 'large', low: 96 ** 2, high: 1e10 },
  ];
  const parameters: EvaluationParameters = {
    iouType,
    useCategories: options.useCategories ?? true,
    imageIds: ascending(options.imageIds ?? imageIds),
    categoryIds: ascending(options.categoryIds ?? categoryIds),
    iouThresholds: options.iouThresholds ?? linspace(0.5, 0.95, 10),
    recallThresholds: options.recallThresholds ?? linspace(0, 1, 101),
    maxDetections: ascending(options.maxDetections ?? (keypoints ? [20] : [1, 10, 100])),
    areaRanges: options.areaRanges ?? (keypoints ? areaRanges.filter((r) => r.label !== 'small') : areaRanges),
    keypointSigmas: options.keypointSigmas ?? [...COCO_PERSON_SIGMAS],
  };
  if (parameters.maxDetections.length === 0 || parameters.maxDetections[0]! < 1)
    throw new ArgumentError('maxDetections must hold at least one number from 1.');
  const { recallThresholds } = parameters;
  for (let i = 1; i < recallThresholds.length; i++)
    if (!(recallThresholds[i]! >= recallThresholds[i - 1]!)) throw new ArgumentError('recallThresholds must ascend.');
  return parameters;
}

/** numpy's linspace to the last bit: the end point is forced. */
function linspace(start: number, stop: number, count: number): Float64Array {
  const step = (stop - start) / (count - 1);
  const out = Float64Array.from({ length: count }, (_, i) => i * step + start);
  out[count - 1] = stop;
  return out;
}

function ascending(values: Iterable<number>): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}
