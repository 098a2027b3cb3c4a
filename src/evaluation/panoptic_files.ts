import { readPanopticPng } from '../data/coco/panoptic_png.js';
import { readPanopticDataset } from '../data/coco/read_panoptic.js';
import { DatasetError } from '../errors.js';
import { PanopticQuality, type PanopticResult } from './panoptic_quality.js';

/** A panoptic JSON file and the folder of its PNGs. */
export interface PanopticFiles {
  json: string;
  folder: string;
}

/**
 * Panoptic quality of prediction files against ground-truth files, as panopticapi's `pq_compute`. Node only.
 *
 * @throws DatasetError for an image without prediction, sizes that differ, or pixels that disagree with the list of segments
 */
export async function evaluatePanopticFiles(
  truth: PanopticFiles,
  prediction: PanopticFiles,
  onProgress?: (done: number, total: number) => void,
): Promise<PanopticResult> {
  const [wanted, given] = await Promise.all([readPanopticDataset(truth.json), readPanopticDataset(prediction.json)]);
  if (wanted.categories.length === 0) throw new DatasetError(`${truth.json} has no categories.`);
  const found = new Map(given.annotations.map((a) => [a.image_id, a]));
  const quality = new PanopticQuality(wanted.categories);
  let done = 0;
  for (const a of wanted.annotations) {
    const other = found.get(a.image_id);
    if (!other) throw new DatasetError(`${prediction.json} has no prediction for image ${a.image_id}.`);
    const [t, p] = await Promise.all([
      readPanopticPng(`${truth.folder}/${a.file_name}`),
      readPanopticPng(`${prediction.folder}/${other.file_name}`),
    ]);
    if (t.width !== p.width || t.height !== p.height)
      throw new DatasetError(
        `Image ${a.image_id}: the prediction is ${p.width} x ${p.height}, the ground truth ${t.width} x ${t.height}.`,
      );
    quality.add({ ids: t.ids, segments: a.segments_info }, { ids: p.ids, segments: other.segments_info }, String(a.image_id));
    onProgress?.(++done, wanted.annotations.length);
  }
  return quality.result();
}
