import { ArgumentError } from '../../errors.js';

/** Soft-NMS (Bodla et al. 2017): scores of overlapping boxes decay instead of the boxes being dropped. */
export interface SoftNmsOptions {
  /** `linear`: times 1 - IoU where the IoU is above `iouThreshold`; `gaussian`: times exp(-IoU^2 / sigma). */
  method: 'linear' | 'gaussian';
  /** For `linear`. */
  iouThreshold: number;
  /** For `gaussian`, above 0. */
  sigma: number;
  /** Boxes whose score falls below this are dropped. */
  scoreThreshold: number;
}

/** The boxes that remain and what their scores have become, in order of selection. */
export interface SoftNmsResult {
  indices: Int32Array;
  scores: Float32Array;
}

/** Intersection over union in float64; 0 for two boxes without area. */
function iou(boxes: Float32Array, i: number, j: number): number {
  const [a, b] = [4 * i, 4 * j];
  const width = Math.min(boxes[a + 2], boxes[b + 2]) - Math.max(boxes[a], boxes[b]);
  const height = Math.min(boxes[a + 3], boxes[b + 3]) - Math.max(boxes[a + 1], boxes[b + 1]);
  if (!(width > 0 && height > 0)) return 0;
  const inter = width * height;
  const area = (k: number) => (boxes[k + 2] - boxes[k]) * (boxes[k + 3] - boxes[k + 1]);
  return inter / (area(a) + area(b) - inter);
}

/**
 * Soft non-maximum suppression: takes the box with the highest current score (the first of equals), lets the scores of the others
 * decay by their overlap with it, and goes on until no box has at least `scoreThreshold`.
 * @param boxes  [N, 4] as (x0, y0, x1, y1), finite
 * @param scores [N]; not changed
 * @throws ArgumentError for lengths that do not fit, or a sigma that is not positive
 */
export function softNms(boxes: Float32Array, scores: Float32Array, o: SoftNmsOptions): SoftNmsResult {
  if (boxes.length !== 4 * scores.length) {
    throw new ArgumentError(`Soft-NMS: ${boxes.length} box coordinates for ${scores.length} scores; expected 4 for each.`);
  }
  if (o.method === 'gaussian' && !(o.sigma > 0))
    throw new ArgumentError(`Soft-NMS: sigma is ${o.sigma}; expected a positive number.`);
  const current = Float64Array.from(scores);
  const open = new Set(scores.keys());
  const indices: number[] = [];
  for (;;) {
    let best = -1;
    for (const i of open) if (current[i] >= o.scoreThreshold && (best < 0 || current[i] > current[best])) best = i;
    if (best < 0) break;
    open.delete(best);
    indices.push(best);
    for (const i of open) {
      const overlap = iou(boxes, best, i);
      if (o.method === 'gaussian') current[i] *= Math.exp((-overlap * overlap) / o.sigma);
      else if (overlap > o.iouThreshold) current[i] *= 1 - overlap;
    }
  }
  return { indices: Int32Array.from(indices), scores: Float32Array.from(indices, (i) => current[i]) };
}
