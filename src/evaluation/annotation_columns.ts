import type { CocoAnnotation, CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import type { Rle } from '../data/rle/rle.js';
import { readRuns, rleArea, rleToBox } from '../data/rle/rle.js';
import { boxToRle } from '../data/rle/polygon_to_rle.js';
import { segmentationToRle } from '../data/rle/segmentation.js';
import { ArgumentError, DatasetError } from '../errors.js';
import type { IouType } from './evaluation_parameters.js';
import { MaskStore } from './mask_store.js';

/** Members of annotations or detections as arrays, by their place in the list. */
export interface Columns {
  /** Number of the image, -1 where it is not asked for. */
  image: Int32Array;
  /** Number of the category, -1 where it is not asked for. */
  category: Int32Array;
  /** Pixels; NaN where it is missing. */
  area: Float64Array;
  /** x, y, width, height; NaN where it is missing. */
  boxes: Float64Array;
}

/** The annotations of a data set as arrays. */
export function truthColumns(
  annotations: readonly CocoAnnotation[],
  imageIds: readonly number[],
  categoryIds: readonly number[],
): Columns {
  const images = numbering(imageIds);
  const categories = numbering(categoryIds);
  const out = emptyColumns(annotations.length);
  for (let i = 0; i < annotations.length; i++) {
    const a = annotations[i]!;
    out.image[i] = images(a.image_id);
    out.category[i] = categories(a.category_id);
    out.area[i] = a.area ?? NaN;
    setBox(out.boxes, i, a.bbox);
  }
  return out;
}

/** What decides the area of all detections, as in pycocotools' `loadRes`: the first detection. */
export type ResultKind = 'bbox' | 'segmentation' | 'keypoints';

export function resultKind(results: readonly CocoResult[]): ResultKind {
  const first = results[0];
  const kind = !first || first.bbox?.length ? 'bbox' : first.segmentation ? 'segmentation' : first.keypoints ? 'keypoints' : null;
  if (kind === null) throw new DatasetError('Result 0 has no bbox, no segmentation and no keypoints; one of them is needed.');
  return kind;
}

/**
 * The detections as arrays, all but what comes from masks: with a `bbox` in the first detection the area is the box's; with `keypoints` area and
 * box are those of their extent.
 *
 * @throws DatasetError for an unknown image, a score that is not finite, or a detection without what the first one has; names its number
 */
export function resultColumns(
  dataset: Pick<CocoDataset, 'images'>,
  results: readonly CocoResult[],
  imageIds: readonly number[],
  categoryIds: readonly number[],
): Columns & { scores: Float64Array } {
  const kind = resultKind(results);
  const known = new Set(dataset.images.map((i) => i.id));
  const images = numbering(imageIds);
  const categories = numbering(categoryIds);
  const out = { ...emptyColumns(results.length), scores: new Float64Array(results.length) };
  for (let i = 0; i < results.length; i++) {
    const r = results[i]!;
    const image = images(r.image_id);
    if (image < 0 && !known.has(r.image_id))
      throw new DatasetError(
        `Result ${i} is for image ${String(r.image_id)}, which the annotation file does not have; check that both files belong together.`,
      );
    const { score, bbox } = r;
    if (!Number.isFinite(score)) throw new DatasetError(`Result ${i} has the score ${String(score)}; a finite number is needed.`);
    out.image[i] = image;
    out.category[i] = categories(r.category_id);
    out.scores[i] = score;
    if (kind === 'bbox') {
      if (bbox?.length !== 4) throw new DatasetError(`Result ${i} needs a bbox of four finite numbers, as result 0 has.`);
      setBox(out.boxes, i, bbox);
      const [w, h] = [bbox[2]!, bbox[3]!];
      if (!Number.isFinite(bbox[0]! + bbox[1]! + w + h))
        throw new DatasetError(`Result ${i} needs a bbox of four finite numbers, as result 0 has.`);
      out.area[i] = w * h;
    } else if (kind === 'keypoints') {
      const box = extent(r.keypoints, i);
      setBox(out.boxes, i, box);
      out.area[i] = box[2] * box[3];
    } else if (bbox) setBox(out.boxes, i, bbox);
  }
  return out;
}

/**
 * Reads every mask of the detections once: for its area (and box) where these come from masks, and into the store where it is going to be compared.
 *
 * @param keep flags of the detections whose masks are compared
 * @throws DatasetError naming the detection
 */
export function resultMasks(
  dataset: Pick<CocoDataset, 'images'>,
  results: readonly CocoResult[],
  columns: Columns,
  iouType: IouType,
  keep: Uint8Array,
): MaskStore | undefined {
  const kind = resultKind(results);
  const compared = iouType === 'segm';
  if (!compared && kind !== 'segmentation') return undefined;
  const sizes = new Map(dataset.images.map((i) => [i.id, i]));
  const store = new MaskStore(compared ? results.length : 0);
  let scratch = new Uint32Array(1 << 12);
  for (let i = 0; i < results.length; i++) {
    const { segmentation, bbox, image_id } = results[i]!;
    if (kind !== 'segmentation' && !keep[i]) continue;
    if (!segmentation && kind === 'segmentation') throw new DatasetError(`Result ${i} needs a segmentation, as result 0 has.`);
    const { height, width } = sizes.get(image_id)!;
    try {
      let rle: Rle;
      if (!segmentation) {
        if (!bbox) throw new ArgumentError('there is no segmentation, which evaluating masks needs.');
        rle = boxToRle(bbox, height, width);
      } else if (!Array.isArray(segmentation) && typeof segmentation.counts === 'string') {
        const { size, counts } = segmentation;
        if (!Array.isArray(size))
          throw new ArgumentError('A segmentation must be a list of polygons, or an object with size and counts.');
        if (scratch.length < counts.length) scratch = new Uint32Array(counts.length * 2);
        rle = { size, counts: scratch.subarray(0, readRuns(counts, size, scratch)) };
      } else rle = segmentationToRle(segmentation, height, width);
      if (kind === 'segmentation') {
        columns.area[i] = rleArea(rle);
        if (!bbox && iouType === 'bbox') setBox(columns.boxes, i, rleToBox(rle));
      }
      if (compared && keep[i]) store.set(i, rle);
    } catch (error) {
      if (error instanceof ArgumentError) throw new DatasetError(`Result ${i}: ${error.message}`, { cause: error });
      throw error;
    }
  }
  return compared ? store : undefined;
}

/**
 * The masks of annotations.
 *
 * @param keep flags of the annotations whose masks are compared
 * @throws DatasetError naming the annotation
 */
export function truthMasks(dataset: Pick<CocoDataset, 'images' | 'annotations'>, keep: Uint8Array): MaskStore {
  const sizes = new Map(dataset.images.map((i) => [i.id, i]));
  const store = new MaskStore(dataset.annotations.length);
  dataset.annotations.forEach((a, i) => {
    if (!keep[i]) return;
    const { height, width } = sizes.get(a.image_id)!;
    try {
      if (!a.segmentation) throw new ArgumentError('there is no segmentation, which evaluating masks needs.');
      store.set(i, segmentationToRle(a.segmentation, height, width));
    } catch (error) {
      if (error instanceof ArgumentError) throw new DatasetError(`Annotation ${a.id}: ${error.message}`, { cause: error });
      throw error;
    }
  });
  return store;
}

function emptyColumns(length: number): Columns {
  return {
    image: new Int32Array(length),
    category: new Int32Array(length),
    area: new Float64Array(length),
    boxes: new Float64Array(length * 4),
  };
}

function setBox(boxes: Float64Array, i: number, box: readonly number[] | undefined): void {
  const ok = box?.length === 4;
  for (let c = 0; c < 4; c++) boxes[i * 4 + c] = ok ? box[c]! : NaN;
}

function extent(keypoints: readonly number[] | undefined, i: number): [number, number, number, number] {
  if (!keypoints?.length) throw new DatasetError(`Result ${i} needs keypoints, as result 0 has.`);
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let p = 0; p + 1 < keypoints.length; p += 3) {
    x0 = Math.min(x0, keypoints[p]!);
    x1 = Math.max(x1, keypoints[p]!);
    y0 = Math.min(y0, keypoints[p + 1]!);
    y1 = Math.max(y1, keypoints[p + 1]!);
  }
  return [x0, y0, x1 - x0, y1 - y0];
}

/** From ids to their places; remembers the last one, as neighbours in a file are mostly of one image. */
function numbering(ids: readonly number[]): (id: number) => number {
  const places = new Map(ids.map((id, i) => [id, i]));
  let lastId = NaN;
  let last = -1;
  return (id) => {
    if (id !== lastId) {
      lastId = id;
      last = places.get(id) ?? -1;
    }
    return last;
  };
}
