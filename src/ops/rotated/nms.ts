import { ArgumentError } from '../../errors.js';
import { rotatedIouAt } from './iou.js';

/**
 * Greedy non-maximum suppression of rotated boxes (Detectron2's `nms_rotated` on the CPU): a box is dropped when its IoU with a kept box of a
 * higher score is **at least** the threshold, unlike that of upright boxes.
 * @param boxes  [N, 5] as (cx, cy, w, h, degrees counterclockwise)
 * @param scores [N]
 * @returns      kept indices by decreasing score; equal scores keep the input's order
 * @throws ArgumentError for lengths that do not fit, or a threshold that is negative or not a number
 */
export function rotatedNms(boxes: Float32Array, scores: Float32Array, iouThreshold: number): Int32Array {
  if (boxes.length !== 5 * scores.length) {
    throw new ArgumentError(
      `rotatedNms: ${boxes.length} box numbers for ${scores.length} scores; expected 5 for each (cx, cy, w, h, angle).`,
    );
  }
  if (!(iouThreshold >= 0))
    throw new ArgumentError(`rotatedNms: the IoU threshold is ${iouThreshold}; expected a number from 0 to 1.`);
  const threshold = Math.fround(iouThreshold);
  const order = Int32Array.from(scores.keys()).sort((i, j) => scores[j] - scores[i] || i - j);
  const kept: number[] = [];
  for (const i of order) {
    if (!kept.some((k) => Math.fround(rotatedIouAt(boxes, 5 * k, boxes, 5 * i)) >= threshold)) kept.push(i);
  }
  return Int32Array.from(kept);
}

/**
 * The same within groups (classes), by moving the groups apart in float32 as Detectron2's `batched_nms_rotated` does.
 * @param groups [N] group of each box, not negative
 * @throws ArgumentError as `rotatedNms`, and when there is not one group for each box
 */
export function batchedRotatedNms(
  boxes: Float32Array,
  scores: Float32Array,
  groups: Int32Array,
  iouThreshold: number,
): Int32Array {
  if (groups.length !== scores.length)
    throw new ArgumentError(`batchedRotatedNms: ${groups.length} groups for ${scores.length} boxes; expected one each.`);
  const f = Math.fround;
  let [most, least] = [-Infinity, Infinity];
  for (let at = 0; at < boxes.length; at += 5) {
    const half = f(Math.max(boxes[at + 2], boxes[at + 3]) / 2);
    most = Math.max(most, f(Math.max(boxes[at], boxes[at + 1]) + half));
    least = Math.min(least, f(Math.min(boxes[at], boxes[at + 1]) - half));
  }
  const pitch = f(f(most - least) + 1);
  const apart = boxes.map((v, k) => (k % 5 < 2 ? v + f(groups[Math.floor(k / 5)] * pitch) : v));
  return rotatedNms(apart, scores, iouThreshold);
}
