import type { CocoAnnotation, CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { boxIou } from '../data/rle/rle_iou.js';
import { ArgumentError, DatasetError } from '../errors.js';
import type { Columns } from './annotation_columns.js';
import { resultColumns, resultMasks, truthColumns, truthMasks } from './annotation_columns.js';
import type { Slots } from './annotation_groups.js';
import { sortIntoSlots } from './annotation_groups.js';
import type { EvaluationOptions, EvaluationParameters, IouType } from './evaluation_parameters.js';
import { evaluationParameters } from './evaluation_parameters.js';
import { keypointSimilarity } from './keypoint_similarity.js';
import type { MaskStore } from './mask_store.js';
import { matchDetections } from './match_detections.js';
import type { CategoryOutcomes, EvaluationArrays } from './precision_recall.js';
import { accumulateCategory, emptyArrays, IGNORED, TRUE_POSITIVE } from './precision_recall.js';

/** One image and category, matched; the fields of pycocotools' `evalImgs`. */
export interface ImageEvaluation {
  imageId: number;
  categoryId: number;
  /** Detections by descending score, at most the largest of `maxDetections`; numbers from 1 in file order. */
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

/** Detections and objects of one category, image by image. */
interface CategoryView {
  /** Detections by descending score, over all images: numbers into the results. */
  found: Int32Array;
  /** Rank of each within its image. */
  ranks: Int32Array;
  /** Places in `found`, by image, then score. */
  byImage: Int32Array;
  /** Places in `byImage`, one more than there are images. */
  start: Int32Array;
  /** Annotations by image, then file order. */
  truth: Int32Array;
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
  private readonly annotations: readonly CocoAnnotation[];
  private readonly results: readonly CocoResult[];
  private readonly truth: Columns;
  private readonly found: Columns & { scores: Float64Array };
  private readonly truthSlots: Slots;
  private readonly foundSlots: Slots;
  private readonly crowd: Uint8Array;
  private readonly masks: { found: MaskStore; truth: MaskStore } | undefined;

  /**
   * @param results entries of a COCO results file; as in pycocotools the FIRST one decides: with a `bbox` the area of all is the box's, else with a
   * `segmentation` the mask's, else that of the extent of the keypoints
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
    const [images, categories] = [imageIds.length, categoryIds.length];
    this.annotations = dataset.annotations;
    this.results = results;
    this.truth = truthColumns(dataset.annotations, imageIds, categoryIds);
    this.found = resultColumns(dataset, results, imageIds, categoryIds);
    this.crowd = Uint8Array.from(dataset.annotations, (a) => (a.iscrowd ? 1 : 0));
    this.truthSlots = sortIntoSlots(this.truth.image, this.truth.category, images, categories, useCategories);
    this.foundSlots = sortIntoSlots(this.found.image, this.found.category, images, categories, useCategories, this.found.scores);
    const compared = { found: new Uint8Array(results.length), truth: new Uint8Array(dataset.annotations.length) };
    if (iouType === 'segm')
      for (let k = 0; k < this.slots; k++) {
        const view = this.view(k);
        this.forEachMeeting(view, (_, fromG, toG, fromD, toD) => {
          for (let g = fromG; g < toG; g++) compared.truth[view.truth[g]!] = 1;
          for (let d = fromD; d < toD; d++) compared.found[view.found[view.byImage[d]!]!] = 1;
        });
      }
    const found = resultMasks(dataset, results, this.found, iouType, compared.found);
    if (found) this.masks = { found, truth: truthMasks(dataset, compared.truth) };
  }

  /**
   * Matches all images and accumulates the precision, recall and score arrays.
   * @param onProgress is told how many categories are done, of how many
   */
  run(onProgress?: (done: number, total: number) => void): EvaluationArrays {
    const out = emptyArrays(this.parameters);
    for (let k = 0; k < this.slots; k++) {
      accumulateCategory(out, k, this.categoryOutcomes(k));
      onProgress?.(k + 1, this.slots);
    }
    return out;
  }

  /** What became of the detections of category number `k`, per area range and threshold. */
  categoryOutcomes(k: number): CategoryOutcomes {
    const { areaRanges, iouThresholds } = this.parameters;
    const [A, T] = [areaRanges.length, iouThresholds.length];
    const view = this.view(k);
    const D = view.found.length;
    const scores = new Float64Array(D);
    const outside = new Uint8Array(A * D);
    for (let d = 0; d < D; d++) {
      const i = view.found[d]!;
      scores[d] = this.found.scores[i]!;
      const area = this.found.area[i]!;
      for (let a = 0; a < A; a++) outside[a * D + d] = area < areaRanges[a]!.low || area > areaRanges[a]!.high ? 1 : 0;
    }
    const counted = new Int32Array(A);
    for (let a = 0; a < A; a++) for (const g of view.truth) if (!this.ignoredAt(g, a)) counted[a]!++;

    // Only detections in images with objects of the category can be matched; they get numbers of their own.
    const candidateOf = new Int32Array(D).fill(-1);
    this.forEachMeeting(view, (_image, _fromG, _toG, fromD, toD) => {
      for (let d = fromD; d < toD; d++) candidateOf[view.byImage[d]!] = 0;
    });
    let C = 0;
    for (let d = 0; d < D; d++) if (candidateOf[d] === 0) candidateOf[d] = C++;
    const candidates = new Int32Array(C);
    for (let d = 0; d < D; d++) if (candidateOf[d]! >= 0) candidates[candidateOf[d]!] = d;

    const kinds = new Uint8Array(A * T * C);
    this.forEachMeeting(view, (_image, fromG, toG, fromD, toD) => {
      const truth = view.truth.subarray(fromG, toG);
      const places = view.byImage.subarray(fromD, toD);
      const own = places.length;
      const ious = this.overlaps(truth, this.entries(view, places));
      const crowd = this.crowdOf(truth);
      const seen: { ignored: Uint8Array; ofDetection: Int32Array }[] = [];
      for (let a = 0; a < A; a++) {
        const ignored = this.ignoredOf(truth, a);
        let matches = seen.find((s) => sameFlags(s.ignored, ignored));
        if (!matches) {
          matches = { ignored, ofDetection: matchDetections(ious, own, ignored, crowd, iouThresholds).ofDetection };
          seen.push(matches);
        }
        for (let t = 0; t < T; t++)
          for (let d = 0; d < own; d++) {
            const g = matches.ofDetection[t * own + d]!;
            // pycocotools stores the matched id, so a match with annotation id 0 reads as none.
            if (g < 0 || (!ignored[g] && this.annotations[truth[g]!]!.id === 0)) continue;
            kinds[(a * T + t) * C + candidateOf[places[d]!]!] = ignored[g] ? IGNORED : TRUE_POSITIVE;
          }
      }
    });
    return { scores, ranks: view.ranks, outside, counted, candidates, kinds };
  }

  /**
   * Visits every image and category that has annotations or detections, by category, then image.
   *
   * @param areaRange number into `parameters.areaRanges`
   */
  forEachImageEvaluation(visit: (evaluation: ImageEvaluation) => void, areaRange = 0): void {
    for (let k = 0; k < this.slots; k++) {
      const view = this.view(k);
      this.forEachImage(view, (image, fromG, toG, fromD, toD) => {
        visit(this.evaluateImage(k, image, areaRange, view.truth.subarray(fromG, toG), view, view.byImage.subarray(fromD, toD)));
      });
    }
  }

  /** The same for one image and category; undefined without annotations and detections. */
  imageEvaluation(imageId: number, categoryId: number, areaRange = 0): ImageEvaluation | undefined {
    const { imageIds, categoryIds, useCategories } = this.parameters;
    const k = useCategories ? categoryIds.indexOf(categoryId) : 0;
    const index = imageIds.indexOf(imageId);
    let out: ImageEvaluation | undefined;
    if (k < 0 || index < 0) return out;
    const view = this.view(k);
    this.forEachImage(view, (image, fromG, toG, fromD, toD) => {
      if (image !== index) return;
      out = this.evaluateImage(k, image, areaRange, view.truth.subarray(fromG, toG), view, view.byImage.subarray(fromD, toD));
    });
    return out;
  }

  private evaluateImage(
    k: number,
    image: number,
    areaRange: number,
    truth: Int32Array,
    view: CategoryView,
    places: Int32Array,
  ): ImageEvaluation {
    const { imageIds, categoryIds, useCategories, iouThresholds, areaRanges } = this.parameters;
    const found = this.entries(view, places);
    const D = found.length;
    const ious = truth.length > 0 && D > 0 ? this.overlaps(truth, found) : new Float64Array(0);
    const { low, high } = areaRanges[areaRange]!;
    const ignored = this.ignoredOf(truth, areaRange);
    const matches = matchDetections(ious, D, ignored, this.crowdOf(truth), iouThresholds);
    const detectionIgnored = Uint8Array.from(matches.ofDetection, (g, i) => {
      const area = this.found.area[found[i % D]!]!;
      const outside = area < low || area > high;
      return (g >= 0 && ignored[g]) || ((g < 0 || this.annotations[truth[g]!]!.id === 0) && outside) ? 1 : 0;
    });
    return {
      imageId: imageIds[image]!,
      categoryId: useCategories ? categoryIds[k]! : -1,
      detectionIds: Array.from(found, (i) => i + 1),
      groundTruthIds: Array.from(truth, (i) => this.annotations[i]!.id),
      scores: Array.from(found, (i) => this.found.scores[i]!),
      ious,
      detectionMatches: matches.ofDetection,
      groundTruthMatches: matches.ofGroundTruth,
      groundTruthIgnored: ignored,
      detectionIgnored,
    };
  }

  private get slots(): number {
    return this.parameters.useCategories ? this.parameters.categoryIds.length : 1;
  }

  /** The best detections of each image of category `k`, and its objects. */
  private view(k: number): CategoryView {
    const { imageIds, maxDetections } = this.parameters;
    const most = maxDetections[maxDetections.length - 1]!;
    const { order, start: slotStart } = this.foundSlots;
    const from = slotStart[k]!;
    const to = slotStart[k + 1]!;
    const perImage = new Int32Array(imageIds.length);
    const found = new Int32Array(to - from);
    const ranks = new Int32Array(to - from);
    let n = 0;
    for (let p = from; p < to; p++) {
      const rank = perImage[this.found.image[order[p]!]!]!++;
      if (rank >= most) continue;
      found[n] = order[p]!;
      ranks[n++] = rank;
    }
    const start = new Int32Array(imageIds.length + 1);
    for (let i = 0; i < imageIds.length; i++) start[i + 1] = start[i]! + Math.min(perImage[i]!, most);
    const byImage = new Int32Array(n);
    for (let d = 0; d < n; d++) byImage[start[this.found.image[found[d]!]!]! + ranks[d]!] = d;
    const truth = this.truthSlots.order.subarray(this.truthSlots.start[k]!, this.truthSlots.start[k + 1]!);
    return { found: found.subarray(0, n), ranks: ranks.subarray(0, n), byImage, start, truth };
  }

  /** Calls `visit` for every image with objects and detections of the view's category. */
  private forEachMeeting(view: CategoryView, visit: Visit): void {
    const { truth, start } = view;
    for (let g = 0; g < truth.length;) {
      const image = this.truth.image[truth[g]!]!;
      const from = g;
      while (g < truth.length && this.truth.image[truth[g]!] === image) g++;
      if (start[image + 1]! > start[image]!) visit(image, from, g, start[image]!, start[image + 1]!);
    }
  }

  /** Calls `visit` for every image with objects or detections of the view's category. */
  private forEachImage(view: CategoryView, visit: Visit): void {
    const { truth, start } = view;
    let g = 0;
    for (let image = 0; image + 1 < start.length; image++) {
      const from = g;
      while (g < truth.length && this.truth.image[truth[g]!] === image) g++;
      if (g > from || start[image + 1]! > start[image]!) visit(image, from, g, start[image]!, start[image + 1]!);
    }
  }

  private entries(view: CategoryView, places: Int32Array): Int32Array {
    const out = new Int32Array(places.length);
    for (let d = 0; d < out.length; d++) out[d] = view.found[places[d]!]!;
    return out;
  }

  private crowdOf(truth: Int32Array): Uint8Array {
    const out = new Uint8Array(truth.length);
    for (let g = 0; g < out.length; g++) out[g] = this.crowd[truth[g]!]!;
    return out;
  }

  private ignoredOf(truth: Int32Array, areaRange: number): Uint8Array {
    const out = new Uint8Array(truth.length);
    for (let g = 0; g < out.length; g++) out[g] = this.ignoredAt(truth[g]!, areaRange) ? 1 : 0;
    return out;
  }

  private ignoredAt(annotation: number, areaRange: number): boolean {
    const { low, high } = this.parameters.areaRanges[areaRange]!;
    const area = this.areaOf(annotation);
    if (this.crowd[annotation] || area < low || area > high) return true;
    return this.parameters.iouType === 'keypoints' && labelledKeypoints(this.annotations[annotation]!) === 0;
  }

  private areaOf(annotation: number): number {
    const area = this.truth.area[annotation]!;
    if (Number.isNaN(area))
      throw new DatasetError(
        `Annotation ${this.annotations[annotation]!.id} has no area, which the evaluation by size needs; "maskrcnn dataset check" finds such defects.`,
      );
    return area;
  }

  /** D * G overlaps of detections (numbers into the results) with objects (numbers into the annotations). */
  private overlaps(truth: Int32Array, found: Int32Array): Float64Array {
    const [D, G] = [found.length, truth.length];
    if (this.parameters.iouType === 'bbox')
      return boxIou(
        this.boxesOf(this.found, found, (i) => `Result ${i}`),
        this.boxesOf(this.truth, truth, (i) => `Annotation ${this.annotations[i]!.id}`),
        this.crowdOf(truth),
      );
    if (this.masks) {
      const out = new Float64Array(D * G);
      for (let d = 0; d < D; d++)
        for (let g = 0; g < G; g++)
          out[d * G + g] = this.masks.found.iou(found[d]!, this.masks.truth, truth[g]!, this.crowd[truth[g]!] === 1);
      return out;
    }
    const { keypointSigmas } = this.parameters;
    const points = (keypoints: number[] | undefined, what: string) => {
      if (keypoints?.length !== keypointSigmas.length * 3)
        throw new DatasetError(
          `${what} has ${keypoints?.length ?? 0} keypoint numbers; ${keypointSigmas.length} sigmas need ${keypointSigmas.length * 3}.`,
        );
      return keypoints;
    };
    return keypointSimilarity(
      Array.from(found, (i) => points(this.results[i]!.keypoints, `Result ${i}`)),
      Array.from(truth, (i) => {
        const { id, keypoints, bbox } = this.annotations[i]!;
        if (bbox?.length !== 4) throw noBox(`Annotation ${id}`);
        return { keypoints: points(keypoints, `Annotation ${id}`), bbox, area: this.areaOf(i) };
      }),
      keypointSigmas,
    );
  }

  private boxesOf(columns: Columns, entries: Int32Array, name: (i: number) => string): Float64Array {
    const out = new Float64Array(entries.length * 4);
    for (let n = 0; n < entries.length; n++) {
      const i = entries[n]!;
      for (let c = 0; c < 4; c++) out[n * 4 + c] = columns.boxes[i * 4 + c]!;
      if (Number.isNaN(out[n * 4])) throw noBox(name(i));
    }
    return out;
  }
}

/** Ranges into a view's `truth` and `byImage`. */
type Visit = (image: number, fromTruth: number, toTruth: number, fromFound: number, toFound: number) => void;

function labelledKeypoints(annotation: CocoAnnotation): number {
  if (annotation.num_keypoints !== undefined) return annotation.num_keypoints;
  return (annotation.keypoints ?? []).reduce((n, v, i) => (i % 3 === 2 && v > 0 ? n + 1 : n), 0);
}

function noBox(what: string): DatasetError {
  return new DatasetError(`${what} has no bbox of four numbers, which this evaluation needs.`);
}

function sameFlags(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
