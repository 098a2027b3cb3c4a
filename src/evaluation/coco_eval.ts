import type { CocoAnnotation, CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import type { PreparedMask } from '../data/rle/rle_iou.js';
import { boxIou, prepareMask, preparedIou } from '../data/rle/rle_iou.js';
import { segmentationToRle } from '../data/rle/segmentation.js';
import { ArgumentError, DatasetError } from '../errors.js';
import type { AnnotationGroups } from './annotation_groups.js';
import { forEachImage, groupAnnotations } from './annotation_groups.js';
import type { EvaluationOptions, EvaluationParameters, IouType } from './evaluation_parameters.js';
import { evaluationParameters } from './evaluation_parameters.js';
import { keypointSimilarity } from './keypoint_similarity.js';
import type { LoadedResult } from './load_results.js';
import { loadResults } from './load_results.js';
import { matchDetections } from './match_detections.js';
import { accumulateCategory, emptyArrays } from './precision_recall.js';
import type { EvaluationArrays, ImageOutcome } from './precision_recall.js';

/** One image and category, matched; the fields of pycocotools' `evalImgs`. */
export interface ImageEvaluation {
  imageId: number;
  categoryId: number;
  /** Detections by descending score, at most the largest of `maxDetections`. */
  detectionIds: number[];
  /** In file order. */
  groundTruthIds: number[];
  scores: number[];
  /** D * G overlaps, `ious[d * G + g]`, G in file order. */
  ious: Float64Array;
  /** [T, D]: number of the matched ground truth in `groundTruthIds`, or -1. */
  detectionMatches: Int32Array;
  /** [T, G]: number of the matched detection in `detectionIds`, or -1. */
  groundTruthMatches: Int32Array;
  /** G flags. */
  groundTruthIgnored: Uint8Array;
  /** [T, D] flags. */
  detectionIgnored: Uint8Array;
}

/**
 * COCO evaluation of one task, equal to pycocotools' `COCOeval` to the last bit in precision, recall and scores.
 *
 * ```ts
 * const arrays = new CocoEval(dataset, results, 'bbox').run();
 * const { stats } = summarize(arrays);
 * ```
 */
export class CocoEval {
  readonly parameters: EvaluationParameters;
  private readonly truth: readonly CocoAnnotation[];
  private readonly found: readonly LoadedResult[];
  private readonly truthGroups: AnnotationGroups;
  private readonly foundGroups: AnnotationGroups;
  private readonly sizes: Map<number, { height: number; width: number }>;

  /**
   * @param results entries of a COCO results file; see {@link loadResults} for how area and box are completed
   * @throws DatasetError for results that do not fit the data set
   */
  constructor(dataset: CocoDataset, results: readonly CocoResult[], iouType: IouType, options: EvaluationOptions = {}) {
    this.parameters = evaluationParameters(
      iouType,
      dataset.images.map((i) => i.id),
      dataset.categories.map((c) => c.id),
      options,
    );
    if (iouType === 'keypoints' && !this.parameters.useCategories)
      throw new ArgumentError('Keypoints are evaluated by category; useCategories: false is for boxes and masks.');
    const { imageIds, categoryIds, useCategories } = this.parameters;
    this.sizes = new Map(dataset.images.map((i) => [i.id, i]));
    this.truth = dataset.annotations;
    this.found = loadResults(dataset, results);
    this.truthGroups = groupAnnotations(this.truth, imageIds, categoryIds, useCategories);
    this.foundGroups = groupAnnotations(this.found, imageIds, categoryIds, useCategories);
  }

  /** Matches all images and accumulates the precision, recall and score arrays. */
  run(): EvaluationArrays {
    const out = emptyArrays(this.parameters);
    for (let k = 0; k < out.shape[2]; k++) accumulateCategory(out, k, this.categoryOutcomes(k));
    return out;
  }

  /** What each image with annotations or detections contributes to category number `k`, by ascending image id. */
  categoryOutcomes(k: number): ImageOutcome[] {
    const images: ImageOutcome[] = [];
    forEachImage(this.truthGroups, this.foundGroups, k, (_, fromG, toG, fromD, toD) => {
      images.push(this.outcomes(fromG, toG, fromD, toD));
    });
    return images;
  }

  /**
   * Visits every image and category that has annotations or detections, by category, then image.
   *
   * @param areaRange number into `parameters.areaRanges`
   */
  forEachImageEvaluation(visit: (evaluation: ImageEvaluation) => void, areaRange = 0): void {
    const { imageIds, categoryIds, useCategories } = this.parameters;
    for (let k = 0; k < (useCategories ? categoryIds.length : 1); k++)
      forEachImage(this.truthGroups, this.foundGroups, k, (image, fromG, toG, fromD, toD) => {
        visit(this.evaluateImage(imageIds[image]!, useCategories ? categoryIds[k]! : -1, areaRange, fromG, toG, fromD, toD));
      });
  }

  /** The same for one image and category; undefined without annotations and detections. */
  imageEvaluation(imageId: number, categoryId: number, areaRange = 0): ImageEvaluation | undefined {
    const { imageIds, categoryIds, useCategories } = this.parameters;
    const k = useCategories ? categoryIds.indexOf(categoryId) : 0;
    const index = imageIds.indexOf(imageId);
    let out: ImageEvaluation | undefined;
    if (k < 0 || index < 0) return out;
    forEachImage(this.truthGroups, this.foundGroups, k, (image, fromG, toG, fromD, toD) => {
      if (image === index) out = this.evaluateImage(imageId, categoryId, areaRange, fromG, toG, fromD, toD);
    });
    return out;
  }

  private evaluateImage(
    imageId: number,
    categoryId: number,
    areaRange: number,
    fromG: number,
    toG: number,
    fromD: number,
    toD: number,
  ): ImageEvaluation {
    const truth = this.truthOf(fromG, toG);
    const found = this.bestFirst(fromD, toD);
    const ious = this.overlaps(truth, found);
    const { low, high } = this.parameters.areaRanges[areaRange]!;
    const ignored = this.ignoredTruth(truth, low, high);
    const matches = matchDetections(ious, found.length, ignored, crowdFlags(truth), this.parameters.iouThresholds);
    const detectionIgnored = Uint8Array.from(matches.ofDetection, (g, i) => {
      const { area } = found[i % found.length]!;
      const outside = area < low || area > high;
      return (g >= 0 && ignored[g]) || ((g < 0 || truth[g]!.id === 0) && outside) ? 1 : 0;
    });
    return {
      imageId,
      categoryId,
      detectionIds: found.map((d) => d.id),
      groundTruthIds: truth.map((g) => g.id),
      scores: found.map((d) => d.score),
      ious,
      detectionMatches: matches.ofDetection,
      groundTruthMatches: matches.ofGroundTruth,
      groundTruthIgnored: ignored,
      detectionIgnored,
    };
  }

  /** Per area range and threshold whether each detection is a false positive (0), a true positive (1) or ignored (2). */
  private outcomes(fromG: number, toG: number, fromD: number, toD: number): ImageOutcome {
    const { areaRanges, iouThresholds } = this.parameters;
    const T = iouThresholds.length;
    const truth = this.truthOf(fromG, toG);
    const found = this.bestFirst(fromD, toD);
    const D = found.length;
    const scores = new Float64Array(D);
    for (let d = 0; d < D; d++) scores[d] = found[d]!.score;
    const counted = new Int32Array(areaRanges.length);
    const outcome = new Uint8Array(areaRanges.length * T * D);
    const ious = truth.length > 0 && D > 0 ? this.overlaps(truth, found) : undefined;
    const crowd = crowdFlags(truth);
    const seen: { ignored: Uint8Array; ofDetection: Int32Array }[] = [];
    for (let a = 0; a < areaRanges.length; a++) {
      const { low, high } = areaRanges[a]!;
      const ignored = this.ignoredTruth(truth, low, high);
      for (let g = 0; g < truth.length; g++) if (!ignored[g]) counted[a]!++;
      if (D === 0) continue;
      let matches = seen.find((s) => sameFlags(s.ignored, ignored));
      if (!matches && ious) {
        matches = { ignored, ofDetection: matchDetections(ious, D, ignored, crowd, iouThresholds).ofDetection };
        seen.push(matches);
      }
      for (let d = 0; d < D; d++) {
        const { area } = found[d]!;
        const unmatched = area < low || area > high ? 2 : 0;
        for (let t = 0; t < T; t++) {
          const g = matches ? matches.ofDetection[t * D + d]! : -1;
          // pycocotools stores the matched id, so a match with annotation id 0 reads as none.
          const none = g < 0 || truth[g]!.id === 0;
          outcome[(a * T + t) * D + d] = g >= 0 && ignored[g] ? 2 : none ? unmatched : 1;
        }
      }
    }
    return { scores, counted, outcome };
  }

  private truthOf(from: number, to: number): CocoAnnotation[] {
    const out: CocoAnnotation[] = [];
    for (let i = from; i < to; i++) out.push(this.truth[this.truthGroups.order[i]!]!);
    return out;
  }

  private bestFirst(from: number, to: number): LoadedResult[] {
    const out: LoadedResult[] = [];
    for (let i = from; i < to; i++) out.push(this.found[this.foundGroups.order[i]!]!);
    out.sort((a, b) => b.score - a.score);
    const { maxDetections } = this.parameters;
    const most = maxDetections[maxDetections.length - 1]!;
    if (out.length > most) out.length = most;
    return out;
  }

  private ignoredTruth(truth: readonly CocoAnnotation[], low: number, high: number): Uint8Array {
    const out = new Uint8Array(truth.length);
    const keypoints = this.parameters.iouType === 'keypoints';
    for (let g = 0; g < truth.length; g++) {
      const t = truth[g]!;
      const area = areaOf(t);
      out[g] = t.iscrowd || (keypoints && labelledKeypoints(t) === 0) || area < low || area > high ? 1 : 0;
    }
    return out;
  }

  private overlaps(truth: readonly CocoAnnotation[], found: readonly LoadedResult[]): Float64Array {
    const { iouType, keypointSigmas } = this.parameters;
    if (truth.length === 0 || found.length === 0) return new Float64Array(0);
    if (iouType === 'bbox') return boxIou(boxesOf(found, 'Result'), boxesOf(truth, 'Annotation'), crowdFlags(truth));
    if (iouType === 'segm')
      return preparedIou(
        found.map((d) => this.maskOf(d, 'Result')),
        truth.map((g) => this.maskOf(g, 'Annotation')),
        crowdFlags(truth),
      );
    const need = keypointSigmas.length * 3;
    const points = (a: CocoAnnotation | LoadedResult, what: string) => {
      if (a.keypoints?.length !== need)
        throw new DatasetError(
          `${what} ${a.id} has ${a.keypoints?.length ?? 0} keypoint numbers; ${keypointSigmas.length} sigmas need ${need}.`,
        );
      return a.keypoints;
    };
    return keypointSimilarity(
      found.map((d) => points(d, 'Result')),
      truth.map((g) => ({ keypoints: points(g, 'Annotation'), bbox: boxOf(g, 'Annotation'), area: areaOf(g) })),
      keypointSigmas,
    );
  }

  private maskOf(a: CocoAnnotation | LoadedResult, what: string): PreparedMask {
    const size = this.sizes.get(a.image_id)!;
    try {
      if (!a.segmentation) throw new ArgumentError('there is no segmentation, which evaluating masks needs.');
      return prepareMask(segmentationToRle(a.segmentation, size.height, size.width));
    } catch (error) {
      if (error instanceof ArgumentError) throw new DatasetError(`${what} ${a.id}: ${error.message}`, { cause: error });
      throw error;
    }
  }
}

function areaOf(annotation: CocoAnnotation): number {
  if (typeof annotation.area !== 'number')
    throw new DatasetError(
      `Annotation ${annotation.id} has no area, which the evaluation by size needs; "maskrcnn dataset check" finds such defects.`,
    );
  return annotation.area;
}

function labelledKeypoints(annotation: CocoAnnotation): number {
  if (annotation.num_keypoints !== undefined) return annotation.num_keypoints;
  return (annotation.keypoints ?? []).filter((v, i) => i % 3 === 2 && v > 0).length;
}

function crowdFlags(truth: readonly CocoAnnotation[]): Uint8Array {
  const out = new Uint8Array(truth.length);
  for (let g = 0; g < truth.length; g++) out[g] = truth[g]!.iscrowd ? 1 : 0;
  return out;
}

function boxOf(item: { id: number; bbox?: number[] }, what: string): number[] {
  if (item.bbox?.length !== 4)
    throw new DatasetError(`${what} ${item.id} has no bbox of four numbers, which this evaluation needs.`);
  return item.bbox;
}

function boxesOf(items: readonly { id: number; bbox?: number[] }[], what: string): Float64Array {
  const out = new Float64Array(items.length * 4);
  for (let i = 0; i < items.length; i++) out.set(boxOf(items[i]!, what), i * 4);
  return out;
}

function sameFlags(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
