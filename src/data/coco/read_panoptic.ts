import { DatasetError } from '../../errors.js';
import type { CocoCategory, CocoImage } from './coco_types.js';
import type { JsonSource, ReadCocoOptions } from './read_coco.js';
import { checkCategory, checkImage, chunksOf, describe, nameOf, need } from './read_coco.js';
import { streamJson } from './stream_json.js';

/** A segment of a panoptic annotation. */
export interface PanopticSegmentInfo {
  id: number;
  category_id: number;
  /** Pixels. */
  area?: number;
  /** x, y, width, height in pixels. */
  bbox?: number[];
  iscrowd?: number;
  [extra: string]: unknown;
}

/** One image of a panoptic file: its PNG holds a segment id in each pixel, R + 256 G + 65536 B, 0 for void. */
export interface PanopticAnnotation {
  image_id: number;
  /** The PNG, relative to the folder of panoptic PNGs. */
  file_name: string;
  segments_info: PanopticSegmentInfo[];
  [extra: string]: unknown;
}

/** A COCO panoptic file; predictions may lack images and categories. */
export interface PanopticDataset {
  images: CocoImage[];
  annotations: PanopticAnnotation[];
  /** `isthing` tells countable things (1) from stuff (0). */
  categories: (CocoCategory & { isthing: number })[];
}

/**
 * Reads a COCO panoptic annotation or prediction file of any length.
 *
 * @throws DatasetError naming the file, the record and the reason; also for a segment id that occurs twice in an image, or is 0 (void)
 */
export async function readPanopticDataset(source: JsonSource, options: ReadCocoOptions = {}): Promise<PanopticDataset> {
  const name = nameOf(source, options);
  const out: PanopticDataset = { images: [], annotations: [], categories: [] };
  const counts = new Map<string, number>();
  let found = false;
  await streamJson(await chunksOf(source), name, ({ key, kind, value }) => {
    if (key === undefined) throw new DatasetError(`${name} is a list; a panoptic file is an object with annotations.`);
    if (key !== 'images' && key !== 'annotations' && key !== 'categories') return;
    if (kind === 'value') throw new DatasetError(`${name}: "${key}" must be a list, it is ${describe(value)}.`);
    if (kind === 'array') {
      if (key === 'annotations') found = true;
      return;
    }
    const number = counts.get(key) ?? 0;
    counts.set(key, number + 1);
    const where = `${name}: ${key}[${number}]`;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new DatasetError(`${where} must be an object, it is ${describe(value)}.`);
    const record = value as Record<string, unknown>;
    if (key === 'images') out.images.push(checkImage(record, where));
    else if (key === 'annotations') out.annotations.push(checkPanoptic(record, where));
    else {
      const { isthing } = record;
      need(isthing === 0 || isthing === 1, where, 'isthing', '0 or 1', isthing);
      out.categories.push(checkCategory(record, where) as PanopticDataset['categories'][number]);
    }
  });
  if (!found) throw new DatasetError(`${name} has no "annotations"; is it a panoptic file?`);
  return out;
}

function checkPanoptic(r: Record<string, unknown>, where: string): PanopticAnnotation {
  need(Number.isSafeInteger(r['image_id']), where, 'image_id', 'an integer', r['image_id']);
  const at = `${where} (image ${String(r['image_id'])})`;
  need(typeof r['file_name'] === 'string', at, 'file_name', 'a string', r['file_name']);
  const segments = r['segments_info'];
  if (!Array.isArray(segments)) throw new DatasetError(`${at}: segments_info must be a list, it is ${describe(segments)}.`);
  const ids = new Set<number>();
  segments.forEach((segment: unknown, i) => {
    const here = `${at}: segments_info[${i}]`;
    if (typeof segment !== 'object' || segment === null)
      throw new DatasetError(`${here} must be an object, it is ${describe(segment)}.`);
    const { id, category_id, area, iscrowd } = segment as Record<string, unknown>;
    need(Number.isInteger(id) && (id as number) > 0 && (id as number) < 2 ** 24, here, 'id', 'an integer from 1 to 2^24 - 1', id);
    if (ids.has(id as number)) throw new DatasetError(`${here}: the id ${String(id)} occurs twice in this image.`);
    ids.add(id as number);
    need(Number.isSafeInteger(category_id), here, 'category_id', 'an integer', category_id);
    if (area !== undefined) need(Number.isFinite(area), here, 'area', 'a finite number', area);
    if (iscrowd !== undefined) need(iscrowd === 0 || iscrowd === 1, here, 'iscrowd', '0 or 1', iscrowd);
  });
  return r as unknown as PanopticAnnotation;
}
