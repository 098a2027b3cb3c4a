import { DatasetError } from '../errors.js';

/** A category of a panoptic data set. */
export interface PanopticCategory {
  id: number;
  /** 1: countable things; 0: stuff. */
  isthing: number;
}

/** A segment of a panoptic image. */
export interface PanopticSegment {
  id: number;
  category_id: number;
  /** Pixels; taken from here for ground truth, counted for predictions. */
  area?: number;
  iscrowd?: number;
}

/** A panoptic image: a segment id per pixel (0: void) and the list of segments. */
export interface PanopticImage {
  ids: Uint32Array;
  segments: readonly PanopticSegment[];
}

/** Panoptic, segmentation and recognition quality, 0 to 1; `n` classes counted, NaN where that is 0. */
export interface QualityMean {
  pq: number;
  sq: number;
  rq: number;
  n: number;
}

/** The same of one class, with its counts. */
export interface ClassQuality {
  pq: number;
  sq: number;
  rq: number;
  tp: number;
  fp: number;
  fn: number;
  iouSum: number;
}

/** What {@link PanopticQuality.result} returns. */
export interface PanopticResult {
  all: QualityMean;
  things: QualityMean;
  stuff: QualityMean;
  /** By category id. */
  perClass: Map<number, ClassQuality>;
  /** Detectron2's nine percentages: PQ SQ RQ, PQ_th ..., PQ_st ... */
  percentages: Record<string, number>;
}

/** What one image adds, by category id. */
export interface PanopticCounts {
  /** Segments that were found, with their overlap, in the order in which they are summed. */
  readonly matched: readonly (readonly [category: number, iou: number])[];
  /** Of the ground truth without a match. */
  readonly missed: readonly number[];
  /** Of the prediction without a match. */
  readonly wrong: readonly number[];
}

/** Panoptic quality as panopticapi computes it, image by image. */
export class PanopticQuality {
  private readonly stats = new Map<number, { tp: number; fp: number; fn: number; iouSum: number }>();

  constructor(private readonly categories: readonly PanopticCategory[]) {
    for (const c of categories) this.stats.set(c.id, { tp: 0, fp: 0, fn: 0, iouSum: 0 });
  }

  /**
   * Counts one image.
   *
   * @param name how errors call the image
   * @returns what was counted, for `count` of another evaluator of the same categories
   * @throws DatasetError when pixels and list of the prediction disagree, sizes differ, or a category is unknown
   */
  add(truth: PanopticImage, prediction: PanopticImage, name: string): PanopticCounts {
    const counts = this.compare(truth, prediction, name);
    this.count(counts);
    return counts;
  }

  /** Adds what one image was found to have: images in the same order give the same sums, whoever looked at them. */
  count({ matched, missed, wrong }: PanopticCounts): void {
    for (const [category, iou] of matched) {
      const stat = this.stats.get(category)!;
      stat.tp++;
      stat.iouSum += iou;
    }
    for (const category of missed) this.stats.get(category)!.fn++;
    for (const category of wrong) this.stats.get(category)!.fp++;
  }

  private compare(truth: PanopticImage, prediction: PanopticImage, name: string): PanopticCounts {
    if (truth.ids.length !== prediction.ids.length)
      throw new DatasetError(
        `Image ${name}: the prediction has ${prediction.ids.length} pixels, the ground truth ${truth.ids.length}.`,
      );
    const common = pairCounts(truth.ids, prediction.ids);
    const overlap = (t: number, p: number) => common.get(t)?.get(p) ?? 0;
    const areas = new Map<number, number>();
    for (const row of common.values()) for (const [id, count] of row) areas.set(id, (areas.get(id) ?? 0) + count);
    const predicted = new Map(prediction.segments.map((s) => [s.id, s]));
    for (const id of areas.keys())
      if (id !== VOID && !predicted.has(id))
        throw new DatasetError(`Image ${name}: the predicted segment ${id} is in the pixels but not in the list of segments.`);
    for (const s of predicted.values()) {
      if (!areas.has(s.id))
        throw new DatasetError(`Image ${name}: the predicted segment ${s.id} is in the list but not in the pixels.`);
      this.check(s.category_id, name);
    }

    const matched: [number, number][] = [];
    const missed: number[] = [];
    const wrong: number[] = [];
    const matchedTruth = new Set<number>();
    const matchedPrediction = new Set<number>();
    const labelled = new Map(truth.segments.map((s) => [s.id, s]));
    for (const [t, row] of common) {
      const segment = labelled.get(t);
      if (!segment || segment.iscrowd === 1) continue;
      this.check(segment.category_id, name);
      for (const [p, count] of row) {
        if (predicted.get(p)?.category_id !== segment.category_id) continue;
        const iou = count / (areas.get(p)! + (segment.area ?? 0) - count - overlap(VOID, p));
        if (!(iou > 0.5)) continue;
        matched.push([segment.category_id, iou]);
        matchedTruth.add(t);
        matchedPrediction.add(p);
      }
    }
    const crowds = new Map<number, number>();
    for (const segment of labelled.values()) {
      if (matchedTruth.has(segment.id)) continue;
      if (segment.iscrowd === 1) crowds.set(segment.category_id, segment.id);
      else {
        this.check(segment.category_id, name);
        missed.push(segment.category_id);
      }
    }
    for (const segment of predicted.values()) {
      if (matchedPrediction.has(segment.id)) continue;
      const crowd = crowds.get(segment.category_id);
      const excused = overlap(VOID, segment.id) + (crowd === undefined ? 0 : overlap(crowd, segment.id));
      if (excused / areas.get(segment.id)! > 0.5) continue;
      wrong.push(segment.category_id);
    }
    return { matched, missed, wrong };
  }

  /** The qualities of all images so far. */
  result(): PanopticResult {
    const perClass = new Map<number, ClassQuality>();
    for (const { id } of this.categories) {
      const { tp, fp, fn, iouSum } = this.stats.get(id)!;
      const weight = tp + 0.5 * fp + 0.5 * fn;
      const [pq, sq, rq] = weight === 0 ? [0, 0, 0] : [iouSum / weight, tp > 0 ? iouSum / tp : 0, tp / weight];
      perClass.set(id, { pq, sq, rq, tp, fp, fn, iouSum });
    }
    const over = (isThing?: boolean): QualityMean => {
      const classes = this.categories
        .filter((c) => isThing === undefined || (c.isthing === 1) === isThing)
        .map((c) => perClass.get(c.id)!)
        .filter((c) => c.tp + c.fp + c.fn > 0);
      const n = classes.length;
      const mean = (key: 'pq' | 'sq' | 'rq') => classes.reduce((sum, c) => sum + c[key], 0) / n;
      return { pq: mean('pq'), sq: mean('sq'), rq: mean('rq'), n };
    };
    const [all, things, stuff] = [over(), over(true), over(false)];
    const percentages: Record<string, number> = {};
    for (const [suffix, mean] of [
      ['', all],
      ['_th', things],
      ['_st', stuff],
    ] as const)
      for (const key of ['pq', 'sq', 'rq'] as const) percentages[key.toUpperCase() + suffix] = 100 * mean[key];
    return { all, things, stuff, perClass, percentages };
  }

  private check(category: number, name: string): void {
    if (!this.stats.has(category))
      throw new DatasetError(`Image ${name}: the category ${category} is not among the categories of the data set.`);
  }
}

const VOID = 0;

/** Pixels by ground-truth id and predicted id; neighbours are mostly alike, so runs are counted before the maps are touched. */
function pairCounts(truth: Uint32Array, prediction: Uint32Array): Map<number, Map<number, number>> {
  const out = new Map<number, Map<number, number>>();
  for (let i = 0; i < truth.length;) {
    const t = truth[i]!;
    const p = prediction[i]!;
    const start = i;
    do i++;
    while (i < truth.length && truth[i] === t && prediction[i] === p);
    let row = out.get(t);
    if (!row) out.set(t, (row = new Map<number, number>()));
    row.set(p, (row.get(p) ?? 0) + i - start);
  }
  return out;
}
