import { DatasetError } from '../../errors.js';
import type { CocoAnnotation, CocoCategory, CocoDataset, CocoImage, CocoResult } from './coco_types.js';
import { streamJson } from './stream_json.js';

/** A path (Node only), a document in memory, or its chunks as they arrive. */
export type JsonSource = string | Uint8Array | AsyncIterable<Uint8Array>;

/** Options of the readers. */
export interface ReadCocoOptions {
  /** How errors call the file; default the path. */
  name?: string;
  /** Called with the records read so far. */
  onProgress?: (records: number) => void;
  /** Called for every record with a defect, which is then left out; absent: the first one is thrown. Documents that are no JSON always throw. */
  onDefect?: (error: DatasetError) => void;
}

/**
 * Reads a COCO annotation file of any length: the text is never in memory as a whole. Every record is checked; unknown members are kept.
 * Duplicate ids and references to records that are not there are left to the caller, as files in use have them.
 *
 * @throws DatasetError naming the file, the record and the reason
 */
export async function readCocoDataset(source: JsonSource, options: ReadCocoOptions = {}): Promise<CocoDataset> {
  const name = nameOf(source, options);
  const out: CocoDataset = { images: [], annotations: [], categories: [] };
  const seen = new Set<string>();
  let records = 0;
  const checks: Record<string, (record: Record<string, unknown>, where: string) => void> = Object.assign(Object.create(null), {
    images: (r: Record<string, unknown>, where: string) => out.images.push(checkImage(r, where)),
    annotations: (r: Record<string, unknown>, where: string) => out.annotations.push(checkAnnotation(r, where)),
    categories: (r: Record<string, unknown>, where: string) => out.categories.push(checkCategory(r, where)),
  });
  const counts = new Map<string, number>();
  const rest = new Map<string, unknown[]>();
  await streamJson(await chunksOf(source), name, ({ key, kind, value }) => {
    if (key === undefined)
      throw new DatasetError(`${name} is a list; a COCO annotation file is an object with images, annotations and categories.`);
    if (kind === 'array') {
      if (seen.has(key) && key in checks) throw new DatasetError(`${name} has "${key}" twice.`);
      seen.add(key);
      if (key === 'licenses') rest.set(key, []);
      return;
    }
    if (kind === 'value') {
      if (key in checks) throw new DatasetError(`${name}: "${key}" must be a list, it is ${describe(value)}.`);
      if (key === 'info') out.info = value;
      return;
    }
    const check = checks[key];
    if (!check) {
      rest.get(key)?.push(value);
      return;
    }
    const number = counts.get(key) ?? 0;
    counts.set(key, number + 1);
    const where = `${name}: ${key}[${number}]`;
    try {
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw new DatasetError(`${where} must be an object, it is ${describe(value)}.`);
      check(value as Record<string, unknown>, where);
    } catch (error) {
      if (!options.onDefect || !(error instanceof DatasetError)) throw error;
      options.onDefect(error);
    }
    if (++records % 10000 === 0) options.onProgress?.(records);
  });
  for (const key of ['images', 'annotations', 'categories'])
    if (!seen.has(key))
      throw new DatasetError(`${name} has no "${key}"; a COCO annotation file needs images, annotations and categories.`);
  if (rest.has('licenses')) out.licenses = rest.get('licenses');
  return out;
}

/**
 * Reads a COCO results file: a list of detections.
 *
 * @throws DatasetError naming the file, the entry and the reason
 */
export async function readCocoResults(source: JsonSource, options: ReadCocoOptions = {}): Promise<CocoResult[]> {
  const name = nameOf(source, options);
  const out: CocoResult[] = [];
  await streamJson(await chunksOf(source), name, ({ key, kind, value }) => {
    if (key !== undefined) throw new DatasetError(`${name} is an object; a COCO results file is a list of detections.`);
    if (kind !== 'element') return;
    const where = `${name}: result ${out.length}`;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new DatasetError(`${where} must be an object, it is ${describe(value)}.`);
    const r = value as Record<string, unknown>;
    need(Number.isSafeInteger(r['image_id']), where, 'image_id', 'an integer', r['image_id']);
    need(Number.isSafeInteger(r['category_id']), where, 'category_id', 'an integer', r['category_id']);
    need(Number.isFinite(r['score']), where, 'score', 'a finite number', r['score']);
    checkShapes(r, where);
    out.push(r as unknown as CocoResult);
    if (out.length % 10000 === 0) options.onProgress?.(out.length);
  });
  return out;
}

/** @internal */
export function checkImage(r: Record<string, unknown>, where: string): CocoImage {
  need(Number.isSafeInteger(r['id']), where, 'id', 'an integer', r['id']);
  const at = `${where} (image ${String(r['id'])})`;
  need(typeof r['file_name'] === 'string', at, 'file_name', 'a string', r['file_name']);
  for (const side of ['height', 'width'])
    need(Number.isSafeInteger(r[side]) && (r[side] as number) > 0, at, side, 'an integer above 0', r[side]);
  return r as unknown as CocoImage;
}

/** @internal */
export function checkCategory(r: Record<string, unknown>, where: string): CocoCategory {
  need(Number.isSafeInteger(r['id']), where, 'id', 'an integer', r['id']);
  need(typeof r['name'] === 'string', `${where} (category ${String(r['id'])})`, 'name', 'a string', r['name']);
  return r as unknown as CocoCategory;
}

function checkAnnotation(r: Record<string, unknown>, where: string): CocoAnnotation {
  need(Number.isSafeInteger(r['id']), where, 'id', 'an integer', r['id']);
  const at = `${where} (annotation ${String(r['id'])})`;
  need(Number.isSafeInteger(r['image_id']), at, 'image_id', 'an integer', r['image_id']);
  need(Number.isSafeInteger(r['category_id']), at, 'category_id', 'an integer', r['category_id']);
  if (r['area'] !== undefined) need(Number.isFinite(r['area']), at, 'area', 'a finite number', r['area']);
  const crowd = r['iscrowd'];
  if (crowd !== undefined) need(crowd === 0 || crowd === 1 || typeof crowd === 'boolean', at, 'iscrowd', '0 or 1', crowd);
  checkShapes(r, at);
  return r as unknown as CocoAnnotation;
}

/** Box, segmentation and keypoints: of the right types, where they are there. */
function checkShapes(r: Record<string, unknown>, where: string): void {
  const { bbox, segmentation, keypoints } = r;
  if (bbox !== undefined)
    need(isNumbers(bbox) && (bbox.length === 4 || bbox.length === 0), where, 'bbox', 'a list of four finite numbers', bbox);
  if (keypoints !== undefined)
    need(
      isNumbers(keypoints) && keypoints.length % 3 === 0,
      where,
      'keypoints',
      'a list of x, y, visibility for each keypoint',
      keypoints,
    );
  if (segmentation === undefined || segmentation === null) return;
  if (Array.isArray(segmentation)) {
    segmentation.forEach((polygon, i) =>
      need(isNumbers(polygon), where, `segmentation[${i}]`, 'a list of finite numbers', polygon),
    );
    return;
  }
  need(typeof segmentation === 'object', where, 'segmentation', 'polygons, or an object with size and counts', segmentation);
  const { size, counts } = segmentation as Record<string, unknown>;
  need(isNumbers(size) && size.length === 2, where, 'segmentation.size', '[height, width]', size);
  need(typeof counts === 'string' || isNumbers(counts), where, 'segmentation.counts', 'a string or a list of numbers', counts);
}

function isNumbers(value: unknown): value is number[] {
  if (!Array.isArray(value)) return false;
  for (let i = 0; i < value.length; i++) if (!Number.isFinite(value[i])) return false;
  return true;
}

/** @internal */
export function need(ok: boolean, where: string, key: string, expected: string, value: unknown): void {
  if (!ok) throw new DatasetError(`${where}: ${key} must be ${expected}, it is ${describe(value)}.`);
}

/** @internal */
export function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** @internal */
export function nameOf(source: JsonSource, options: ReadCocoOptions): string {
  return options.name ?? (typeof source === 'string' ? source : 'the JSON document');
}

/** @internal */
export async function chunksOf(source: JsonSource): Promise<AsyncIterable<Uint8Array> | Iterable<Uint8Array>> {
  if (source instanceof Uint8Array) return [source];
  if (typeof source !== 'string') return source;
  const { open } = await import('node:fs/promises');
  try {
    const file = await open(source);
    // The handle closes itself at the end of the stream.
    return file.createReadStream({ highWaterMark: 1 << 20 });
  } catch (error) {
    throw new DatasetError(`${source} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
