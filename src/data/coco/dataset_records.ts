import { DatasetError } from '../../errors.js';
import { checkRle, rleToString } from '../rle/rle.js';
import { segmentationToRle } from '../rle/segmentation.js';
import type { CocoAnnotation, CocoDataset } from './coco_types.js';
import type { JsonSource, ReadCocoOptions } from './read_coco.js';
import { readCocoDataset } from './read_coco.js';

/** Detectron2's number for (x, y, width, height) boxes in pixels. */
export const XYWH_ABS = 1;

/** An object of a {@link DatasetRecord}, Detectron2's names. */
export interface RecordAnnotation {
  iscrowd?: number;
  bbox?: number[];
  bbox_mode: number;
  /** Contiguous from 0 when categories are mapped, else the file's id. */
  category_id: number;
  /** Polygons, or compressed run lengths. */
  segmentation?: number[][] | { size: [number, number]; counts: string };
  /** x, y, visibility; x and y are those of the file + 0.5, as pixel centres. */
  keypoints?: number[];
  [extra: string]: unknown;
}

/** One image with its objects: Detectron2's "dataset dict". */
export interface DatasetRecord {
  file_name: string;
  height: number;
  width: number;
  image_id: number;
  annotations: RecordAnnotation[];
  /** A semantic segmentation file of the image's size: the class of each pixel, 255 ignored. */
  sem_seg_file_name?: string;
}

/** What {@link loadCocoJson} returns. */
export interface CocoRecords {
  /** By ascending image id. */
  records: DatasetRecord[];
  /** By ascending category id. */
  thingClasses: string[];
  /** Category id of the file to contiguous id. */
  categoryIds: Map<number, number>;
  /** What was left out, for the user. */
  messages: string[];
}

/** Options of {@link loadCocoJson}. */
export interface LoadCocoOptions extends ReadCocoOptions {
  /** Map category ids to 0 ... C - 1. Default true. */
  mapCategories?: boolean;
  /** Members of annotations to keep besides box, crowd flag, segmentation, keypoints and category. */
  extraKeys?: readonly string[];
}

/**
 * Reads a COCO annotation file as Detectron2's `load_coco_json` does: polygons with fewer than 3 points or an odd number of coordinates are
 * dropped, and objects that have none left too; objects without any segmentation stay; 0.5 is added to keypoints.
 *
 * @param imageRoot put before every file name
 * @throws DatasetError naming file, annotation id and reason: duplicate ids, unknown categories, `ignore`, empty boxes
 */
export async function loadCocoJson(source: JsonSource, imageRoot: string, options: LoadCocoOptions = {}): Promise<CocoRecords> {
  const name = options.name ?? (typeof source === 'string' ? source : 'the JSON document');
  return datasetRecords(await readCocoDataset(source, options), imageRoot, { ...options, name });
}

/** The same for a data set in memory; the data set is not changed. */
export function datasetRecords(dataset: CocoDataset, imageRoot: string, options: LoadCocoOptions = {}): CocoRecords {
  const name = options.name ?? 'the data set';
  const map = options.mapCategories ?? true;
  const categories = [...dataset.categories].sort((a, b) => a.id - b.id);
  const categoryIds = new Map(categories.map((c, i) => [c.id, i]));
  const messages: string[] = [];
  const records = new Map<number, DatasetRecord>();
  for (const image of [...dataset.images].sort((a, b) => a.id - b.id))
    records.set(image.id, {
      file_name: imageRoot === '' ? image.file_name : `${imageRoot.replace(/\/$/, '')}/${image.file_name}`,
      height: image.height,
      width: image.width,
      image_id: image.id,
      annotations: [],
    });
  const ids = new Set<number>();
  let matched = 0;
  let invalid = 0;
  for (const a of dataset.annotations) {
    const record = records.get(a.image_id);
    if (!record) continue;
    matched++;
    if (ids.has(a.id)) throw new DatasetError(`${name}: annotation id ${a.id} occurs twice; ids must be unique.`);
    ids.add(a.id);
    const object = recordAnnotation(a, record, name, options.extraKeys ?? []);
    if (!object) {
      invalid++;
      continue;
    }
    if (map) {
      const category = categoryIds.get(a.category_id);
      if (category === undefined)
        throw new DatasetError(
          `${name}: annotation ${a.id} has the category ${a.category_id}, which is not among the categories of the file.`,
        );
      object.category_id = category;
    }
    record.annotations.push(object);
  }
  if (matched < dataset.annotations.length)
    messages.push(
      `${name} contains ${dataset.annotations.length} annotations, but only ${matched} of them match to images in the file.`,
    );
  messages.push(`Loaded ${records.size} images in COCO format from ${name}`);
  if (invalid > 0) messages.push(`Filtered out ${invalid} instances without valid segmentation`);
  return { records: [...records.values()], thingClasses: categories.map((c) => c.name), categoryIds, messages };
}

function recordAnnotation(
  a: CocoAnnotation,
  image: DatasetRecord,
  name: string,
  extraKeys: readonly string[],
): RecordAnnotation | undefined {
  if (a['ignore']) throw new DatasetError(`${name}: annotation ${a.id} has "ignore", which is not supported; use iscrowd.`);
  if (a.bbox?.length === 0) throw new DatasetError(`${name}: annotation ${a.id} of image ${image.image_id} has an empty bbox.`);
  const out: RecordAnnotation = { bbox_mode: XYWH_ABS, category_id: a.category_id };
  if (a.iscrowd !== undefined) out.iscrowd = Number(a.iscrowd);
  if (a.bbox) out.bbox = [...a.bbox];
  for (const key of extraKeys) if (Object.hasOwn(a, key)) out[key] = a[key];
  const { segmentation } = a;
  if (Array.isArray(segmentation) && segmentation.length > 0) {
    const valid = segmentation.filter((p) => p.length % 2 === 0 && p.length >= 6);
    if (valid.length === 0) return undefined;
    out.segmentation = valid.map((p) => [...p]);
  } else if (segmentation && !Array.isArray(segmentation)) {
    try {
      const rle = segmentationToRle(segmentation, image.height, image.width);
      checkRle(rle);
      out.segmentation = { size: [...segmentation.size], counts: rleToString(rle) };
    } catch (error) {
      throw new DatasetError(`${name}: annotation ${a.id}: ${(error as Error).message}`, { cause: error });
    }
  }
  if (a.keypoints && a.keypoints.length > 0) out.keypoints = a.keypoints.map((v, i) => (i % 3 === 2 ? v : v + 0.5));
  else if (a.keypoints) out.keypoints = [];
  return out;
}

/** Drops images without any object that is not a crowd. */
export function withoutCrowdOnly(records: readonly DatasetRecord[]): DatasetRecord[] {
  return records.filter((r) => r.annotations.some((a) => !a.iscrowd));
}

/** Drops images with fewer labelled keypoints than `minimum`. */
export function withKeypoints(records: readonly DatasetRecord[], minimum: number): DatasetRecord[] {
  const labelled = (a: RecordAnnotation) => (a.keypoints ?? []).filter((v, i) => i % 3 === 2 && v > 0).length;
  return records.filter((r) => r.annotations.reduce((n, a) => n + labelled(a), 0) >= minimum);
}

/** Objects per contiguous class, crowds excluded. */
export function classHistogram(records: readonly DatasetRecord[], classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const r of records) for (const a of r.annotations) if (!a.iscrowd) counts[a.category_id]!++;
  return counts;
}
