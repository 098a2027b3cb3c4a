import type { CocoAnnotation, CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { CocoEval } from './coco_eval.js';
import type { IouType } from './evaluation_parameters.js';

/** What went wrong in one image. */
export interface ImageErrors {
  imageId: number;
  right: number;
  /** Detections without an object. */
  falseAlarms: number;
  /** Objects without a detection. */
  missed: number;
  /** Objects that were found as another class. */
  confused: number;
  objects: (Pick<CocoAnnotation, 'id' | 'category_id' | 'bbox' | 'segmentation'> & {
    outcome: 'found' | 'missed' | 'confused' | 'crowd';
  })[];
  detections: (CocoResult & { outcome: 'right' | 'false' | 'confused' | 'ignored' })[];
}

/**
 * The images with the most errors at one score threshold. Matching is that of the confusion matrix: own class first, then any class, each object once.
 *
 * @param options.score detections below do not count
 * @param options.limit images returned, worst first; images without errors are left out
 */
export function worstImages(
  dataset: CocoDataset,
  results: readonly CocoResult[],
  task: Exclude<IouType, 'keypoints'>,
  options: { score: number; iou: number; limit: number },
): ImageErrors[] {
  const kept = results.filter((r) => r.score >= options.score);
  const evaluation = new CocoEval(dataset, kept, task, { useCategories: false, maxDetections: [Math.max(1, kept.length)] });
  const truth = new Map(dataset.annotations.map((a) => [a.id, a]));
  const out: ImageErrors[] = [];
  evaluation.forEachImageEvaluation((image) => {
    const objects = image.groundTruthIds.map((id) => truth.get(id)!);
    const detections = image.detectionIds.map((id) => kept[id - 1]!);
    const G = objects.length;
    const partner = new Int32Array(G).fill(-1);
    const outcome = detections.map((): ImageErrors['detections'][number]['outcome'] => 'false');
    const take = (d: number, sameClass: boolean): boolean => {
      let best = -1;
      objects.forEach((o, g) => {
        if (o.iscrowd || partner[g]! >= 0 || (sameClass && o.category_id !== detections[d]!.category_id)) return;
        const iou = image.ious[d * G + g]!;
        if (iou >= options.iou && (best < 0 || iou > image.ious[d * G + best]!)) best = g;
      });
      if (best >= 0) partner[best] = d;
      return best >= 0;
    };
    detections.forEach((_, d) => take(d, true) && (outcome[d] = 'right'));
    detections.forEach((found, d) => {
      if (outcome[d] === 'right') return;
      if (take(d, false)) outcome[d] = 'confused';
      else if (objects.some((o, g) => o.iscrowd && o.category_id === found.category_id && image.ious[d * G + g]! >= options.iou))
        outcome[d] = 'ignored';
    });
    const count = (what: string): number => outcome.filter((o) => o === what).length;
    out.push({
      imageId: image.imageId,
      right: count('right'),
      falseAlarms: count('false'),
      confused: count('confused'),
      missed: objects.filter((o, g) => !o.iscrowd && partner[g]! < 0).length,
      objects: objects.map((o, g) => ({
        id: o.id,
        category_id: o.category_id,
        ...(o.bbox ? { bbox: o.bbox } : {}),
        ...(o.segmentation ? { segmentation: o.segmentation } : {}),
        outcome: o.iscrowd ? 'crowd' : partner[g]! < 0 ? 'missed' : outcome[partner[g]!] === 'right' ? 'found' : 'confused',
      })),
      detections: detections.map((d, i) => ({ ...d, outcome: outcome[i]! })),
    });
  });
  const errors = (i: ImageErrors): number => i.falseAlarms + i.missed + i.confused;
  return out
    .filter((i) => errors(i) > 0)
    .sort((a, b) => errors(b) - errors(a) || a.imageId - b.imageId)
    .slice(0, options.limit);
}
