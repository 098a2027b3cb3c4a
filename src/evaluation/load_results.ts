import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { rleArea, rleToBox } from '../data/rle/rle.js';
import type { CocoSegmentation } from '../data/rle/segmentation.js';
import { segmentationToRle } from '../data/rle/segmentation.js';
import { ArgumentError, DatasetError } from '../errors.js';

/** A detection completed as pycocotools' `loadRes` does. */
export interface LoadedResult {
  /** From 1, in file order. */
  id: number;
  image_id: number;
  category_id: number;
  score: number;
  bbox: number[];
  area: number;
  segmentation?: CocoSegmentation;
  keypoints?: number[];
}

/**
 * Completes detections with id, area and box. As in pycocotools the FIRST detection decides: with a `bbox` the area is the box's; else with
 * a `segmentation` it is the mask's; else it is that of the extent of the keypoints.
 *
 * @throws DatasetError for an unknown image, a score that is not finite, or a detection without what the first one has; names its number
 */
export function loadResults(dataset: Pick<CocoDataset, 'images'>, results: readonly CocoResult[]): LoadedResult[] {
  if (results.length === 0) return [];
  const images = new Map(dataset.images.map((image) => [image.id, image]));
  const first = results[0]!;
  const kind =
    first.bbox && first.bbox.length > 0
      ? 'bbox'
      : first.segmentation
        ? 'segmentation'
        : first.keypoints
          ? 'keypoints'
          : undefined;
  if (!kind) throw new DatasetError('Result 0 has no bbox, no segmentation and no keypoints; one of them is needed.');
  return results.map((r, i) => {
    const image = images.get(r.image_id);
    if (!image)
      throw new DatasetError(
        `Result ${i} is for image ${String(r.image_id)}, which the annotation file does not have; check that both files belong together.`,
      );
    if (!Number.isFinite(r.score))
      throw new DatasetError(`Result ${i} has the score ${String(r.score)}; a finite number is needed.`);
    const out: LoadedResult = {
      id: i + 1,
      image_id: r.image_id,
      category_id: r.category_id,
      score: r.score,
      bbox: r.bbox ?? [],
      area: 0,
    };
    if (r.segmentation) out.segmentation = r.segmentation;
    if (r.keypoints) out.keypoints = r.keypoints;
    if (kind === 'bbox') {
      if (r.bbox?.length !== 4 || !r.bbox.every(Number.isFinite))
        throw new DatasetError(`Result ${i} needs a bbox of four finite numbers, as result 0 has.`);
      const [x, y, w, h] = r.bbox as [number, number, number, number];
      out.area = w * h;
      out.segmentation ??= [[x, y, x, y + h, x + w, y + h, x + w, y]];
    } else if (kind === 'segmentation') {
      if (!r.segmentation) throw new DatasetError(`Result ${i} needs a segmentation, as result 0 has.`);
      try {
        const rle = segmentationToRle(r.segmentation, image.height, image.width);
        out.area = rleArea(rle);
        if (!r.bbox) out.bbox = rleToBox(rle);
      } catch (error) {
        if (error instanceof ArgumentError) throw new DatasetError(`Result ${i}: ${error.message}`, { cause: error });
        throw error;
      }
    } else {
      const k = r.keypoints;
      if (!k?.length) throw new DatasetError(`Result ${i} needs keypoints, as result 0 has.`);
      let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
      for (let p = 0; p + 1 < k.length; p += 3) {
        x0 = Math.min(x0, k[p]!);
        x1 = Math.max(x1, k[p]!);
        y0 = Math.min(y0, k[p + 1]!);
        y1 = Math.max(y1, k[p + 1]!);
      }
      out.area = (x1 - x0) * (y1 - y0);
      out.bbox = [x0, y0, x1 - x0, y1 - y0];
    }
    return out;
  });
}
