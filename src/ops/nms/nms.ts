import { ArgumentError } from '../../errors.js';
import { Arena } from '../kernels/arena.js';

/** Up to this many boxes, torchvision's batched NMS on the CPU moves each group away by an offset instead of looping over groups. */
export const OFFSET_TRICK_BOXES = 1000;

/** The memory that the suppression runs in; made at first use, one for the process. */
let arena: Arena | undefined;

/** The largest float32 that is not above the threshold: float32 x > threshold (as doubles) exactly when x > this. */
export function float32NotAbove(threshold: number): number {
  const rounded = Math.fround(threshold);
  if (rounded <= threshold) return rounded;
  const bits = new Int32Array(Float32Array.of(rounded).buffer);
  bits[0] -= 1;
  return new Float32Array(bits.buffer)[0];
}

function checkArguments(boxes: Float32Array, scores: Float32Array, iouThreshold: number): void {
  if (boxes.length !== 4 * scores.length) {
    throw new ArgumentError(
      `NMS: ${boxes.length} box coordinates for ${scores.length} scores; expected 4 for each (x0, y0, x1, y1).`,
    );
  }
  if (!(iouThreshold >= 0)) throw new ArgumentError(`NMS: the IoU threshold is ${iouThreshold}; expected a number from 0 to 1.`);
}

/** Positions by decreasing score; equal scores keep their order. */
function byDecreasingScore(positions: Int32Array, scores: Float32Array): Int32Array {
  return positions.sort((i, j) => scores[j] - scores[i] || i - j);
}

/** Suppresses among the boxes at `order`, which is by decreasing score; returns the kept of `order`. */
function suppress(boxes: Float32Array, order: Int32Array, threshold: number): Int32Array {
  const n = order.length;
  if (n === 0) return new Int32Array(0);
  arena ??= new Arena();
  const boxBytes = 16 * n;
  const keptFloats = 5 * (n + 4);
  const block = arena.allocate(boxBytes + 4 * keptFloats + 4 * n);
  try {
    const sorted = arena.floats(block, 4 * n);
    for (let k = 0; k < n; k++) {
      const b = 4 * order[k];
      sorted[4 * k] = boxes[b];
      sorted[4 * k + 1] = boxes[b + 1];
      sorted[4 * k + 2] = boxes[b + 2];
      sorted[4 * k + 3] = boxes[b + 3];
    }
    const kept = block + boxBytes;
    const indices = kept + 4 * keptFloats;
    arena.floats(kept, keptFloats).fill(0);
    const count = arena.kernels.nms(block, n, float32NotAbove(threshold), kept, indices);
    return new Int32Array(arena.memory.buffer, indices, count).map((k) => order[k]);
  } finally {
    arena.release(block);
  }
}

/**
 * Greedy non-maximum suppression, as torchvision's on the CPU: a box is dropped when its IoU with a kept box of a higher score is
 * **above** the threshold. Areas and IoU are rounded to float32 at every step; two boxes without area never suppress each other.
 * @param boxes  [N, 4] as (x0, y0, x1, y1), finite
 * @param scores [N]
 * @returns      kept indices by decreasing score; equal scores keep the input's order
 * @throws ArgumentError for lengths that do not fit or a threshold that is negative or not a number
 */
export function nms(boxes: Float32Array, scores: Float32Array, iouThreshold: number): Int32Array {
  checkArguments(boxes, scores, iouThreshold);
  return suppress(boxes, byDecreasingScore(Int32Array.from(scores.keys()), scores), iouThreshold);
}

/**
 * Non-maximum suppression within groups (classes, pyramid levels), as Detectron2's `batched_nms`: up to 1000 boxes by offsetting the
 * groups' coordinates in float32, whose rounding is part of the result, above that group by group.
 * @param boxes  [N, 4] as (x0, y0, x1, y1), finite
 * @param scores [N]
 * @param groups [N] group of each box, not negative
 * @returns      kept indices by decreasing score; equal scores keep the input's order
 * @throws ArgumentError as `nms`, and when there is not one group for each box
 */
export function batchedNms(boxes: Float32Array, scores: Float32Array, groups: Int32Array, iouThreshold: number): Int32Array {
  checkArguments(boxes, scores, iouThreshold);
  if (groups.length !== scores.length) {
    throw new ArgumentError(`NMS: ${groups.length} groups for ${scores.length} boxes; expected one each.`);
  }
  if (scores.length <= OFFSET_TRICK_BOXES) return nms(offsetGroups(boxes, groups), scores, iouThreshold);
  const members = new Map<number, number[]>();
  groups.forEach((group, i) => {
    const list = members.get(group);
    if (list) list.push(i);
    else members.set(group, [i]);
  });
  const kept: number[] = [];
  for (const list of members.values()) {
    for (const i of suppress(boxes, byDecreasingScore(Int32Array.from(list), scores), iouThreshold)) kept.push(i);
  }
  return byDecreasingScore(Int32Array.from(kept), scores);
}

/** Moves each group beyond the largest coordinate of all, in float32 as torchvision does. */
function offsetGroups(boxes: Float32Array, groups: Int32Array): Float32Array {
  let most = -Infinity;
  for (const v of boxes) most = Math.max(most, v);
  const pitch = Math.fround(most + 1);
  return boxes.map((v, k) => v + Math.fround(groups[k >> 2] * pitch));
}
