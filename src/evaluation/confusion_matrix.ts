import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { CocoEval } from './coco_eval.js';
import type { IouType } from './evaluation_parameters.js';

/** Which classes are taken for which. */
export interface ConfusionMatrix {
  /** Ascending; the order of rows and columns. */
  categoryIds: number[];
  /** [C + 1][C + 1]: row = true class, column = detected class; the last of each is background (false alarms, missed objects). */
  counts: number[][];
}

/**
 * Confusion of classes among the detections from `threshold` on. In every image detections by falling score first take the free object of
 * their own class that they overlap most (at least `iou`); those left over then take what is left of other classes. What remains is background;
 * detections that lie on a crowd of their own class do not count.
 */
export function confusionMatrix(
  dataset: CocoDataset,
  results: readonly CocoResult[],
  iouType: Exclude<IouType, 'keypoints'>,
  options: { threshold: number; iou?: number },
): ConfusionMatrix {
  const iou = options.iou ?? 0.5;
  const kept = results.filter((r) => r.score >= options.threshold);
  const categoryIds = [...new Set(dataset.categories.map((c) => c.id))].sort((a, b) => a - b);
  const index = new Map(categoryIds.map((id, i) => [id, i]));
  const background = categoryIds.length;
  const counts = Array.from({ length: background + 1 }, () => new Array<number>(background + 1).fill(0));
  const evaluation = new CocoEval(dataset, kept, iouType, { useCategories: false, maxDetections: [Math.max(1, kept.length)] });
  const truth = new Map(dataset.annotations.map((a) => [a.id, a]));
  evaluation.forEachImageEvaluation((image) => {
    const G = image.groundTruthIds.length;
    const objects = image.groundTruthIds.map((id) => truth.get(id)!);
    const objectClass = objects.map((o) => index.get(o.category_id)!);
    const foundClass = image.detectionIds.map((id) => index.get(kept[id - 1]!.category_id)!);
    const taken = new Set<number>();
    const left: number[] = [];
    const bestFree = (d: number, allowed: (g: number) => boolean) => {
      let best = -1;
      for (let g = 0; g < G; g++) {
        if (objects[g]!.iscrowd || taken.has(g) || !allowed(g) || image.ious[d * G + g]! < iou) continue;
        if (best < 0 || image.ious[d * G + g]! > image.ious[d * G + best]!) best = g;
      }
      return best;
    };
    foundClass.forEach((c, d) => {
      const g = bestFree(d, (o) => objectClass[o] === c);
      if (g < 0) return left.push(d);
      taken.add(g);
      return counts[c]![c]!++;
    });
    for (const d of left) {
      const c = foundClass[d]!;
      const g = bestFree(d, () => true);
      if (g >= 0) {
        taken.add(g);
        counts[objectClass[g]!]![c]!++;
      } else if (!objects.some((o, i) => o.iscrowd && objectClass[i] === c && image.ious[d * G + i]! >= iou))
        counts[background]![c]!++;
    }
    objects.forEach((o, g) => {
      if (!o.iscrowd && !taken.has(g)) counts[objectClass[g]!]![background]!++;
    });
  });
  return { categoryIds, counts };
}
