import { polygonArea } from '../polygon_area.js';
import { rleArea } from '../rle/rle.js';
import { segmentationToRle } from '../rle/segmentation.js';
import type { CocoAnnotation, CocoDataset, CocoResult } from './coco_types.js';
import type { CocoRecords } from './dataset_records.js';

/** Detectron2's `convert_to_coco_dict`: annotations numbered from 1, areas from the masks (from the boxes where there is none). */
export function recordsToCoco({
  records,
  thingClasses,
  categoryIds,
}: Pick<CocoRecords, 'records' | 'thingClasses' | 'categoryIds'>): CocoDataset {
  const original = new Map([...categoryIds].map(([id, contiguous]) => [contiguous, id]));
  const annotations: CocoAnnotation[] = [];
  for (const record of records)
    for (const a of record.annotations) {
      const out: CocoAnnotation = {
        id: annotations.length + 1,
        image_id: record.image_id,
        category_id: original.get(a.category_id) ?? a.category_id,
        area: 0,
        iscrowd: Number(a.iscrowd ?? 0),
      };
      if (a.bbox) out.bbox = a.bbox.map((v) => Math.round(v * 1000) / 1000);
      if (Array.isArray(a.segmentation)) out.area = a.segmentation.reduce((sum, p) => sum + polygonArea(p), 0);
      else if (a.segmentation) out.area = rleArea(segmentationToRle(a.segmentation, record.height, record.width));
      else if (a.bbox) out.area = boxArea(a.bbox);
      if (a.keypoints) {
        out.keypoints = a.keypoints.map((v, i) => (i % 3 === 2 ? v : v - 0.5));
        out.num_keypoints = a.keypoints.filter((v, i) => i % 3 === 2 && v > 0).length;
      }
      if (a.segmentation) out.segmentation = a.segmentation;
      annotations.push(out);
    }
  return {
    info: { description: 'Automatically generated COCO json file for Detectron2.' },
    images: records.map((r) => ({ id: r.image_id, width: r.width, height: r.height, file_name: r.file_name })),
    categories: thingClasses.map((name, i) => ({ id: original.get(i) ?? i, name })),
    annotations,
    licenses: null,
  };
}

/** In float32 and by the corners, as Detectron2's `Boxes` has it. */
function boxArea([x, y, w, h]: readonly number[]): number {
  const f = Math.fround;
  const right = f(f(x!) + f(w!));
  const bottom = f(f(y!) + f(h!));
  return f(f(right - f(x!)) * f(bottom - f(y!)));
}

/** Writes an annotation file, record by record and atomically. Ends with a newline. */
export async function writeCocoDataset(path: string, dataset: CocoDataset): Promise<void> {
  // Loaded late, so that the rest of this file runs in a browser.
  const { writeFileAtomic } = await import('../../atomic_file.js');
  await writeFileAtomic(path, datasetChunks(dataset));
}

/** Writes a results file. */
export async function writeCocoResults(path: string, results: readonly CocoResult[]): Promise<void> {
  const { writeFileAtomic } = await import('../../atomic_file.js');
  await writeFileAtomic(path, encoded(listPieces(results, '\n')));
}

function datasetChunks(dataset: CocoDataset): Iterable<Uint8Array> {
  function* pieces(): Iterable<string> {
    yield `{"info":${JSON.stringify(dataset.info ?? {})},"licenses":${JSON.stringify(dataset.licenses ?? [])}`;
    for (const key of ['categories', 'images', 'annotations'] as const) {
      yield `,"${key}":`;
      yield* listPieces<unknown>(dataset[key], '');
    }
    yield '}\n';
  }
  return encoded(pieces());
}

function* listPieces<T>(items: readonly T[], end: string): Iterable<string> {
  yield '[';
  for (let i = 0; i < items.length; i++) yield `${i === 0 ? '' : ',\n'}${JSON.stringify(items[i])}`;
  yield `]${end}`;
}

/** Joins short pieces into chunks of about a megabyte. */
function* encoded(pieces: Iterable<string>): Iterable<Uint8Array> {
  const encoder = new TextEncoder();
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < 1 << 20) continue;
    yield encoder.encode(text);
    text = '';
  }
  yield encoder.encode(text);
}
