import { DivergenceError } from '../errors.js';
import { batchedNms } from '../ops/nms/nms.js';
import type { AnchorGenerator } from './anchor_generator.js';
import type { Box2BoxTransform } from './box_transform.js';
import { topK } from './top_k.js';

/** The size of one level's map. */
export interface LevelSize {
  readonly height: number;
  readonly width: number;
}

/** Regions of one image, best first. */
export interface Proposals {
  /** [R, 4] in input pixels. */
  readonly boxes: Float32Array<ArrayBuffer>;
  /** [R] */
  readonly objectnessLogits: Float32Array<ArrayBuffer>;
}

export interface ProposalSelection {
  readonly nmsThreshold: number;
  readonly preNmsTopK: number;
  readonly postNmsTopK: number;
  /** Boxes with a side of at most this (input pixels) are dropped. */
  readonly minBoxSize: number;
  /** Boxes or logits that are not finite stop a training that has diverged; else they are dropped. */
  readonly mustBeFinite?: boolean;
}

/**
 * Turns one image's RPN outputs into proposals (Detectron2's `find_top_rpn_proposals`): top-k per level on the logits, decode, drop what is not
 * finite, clip, drop empty boxes, NMS per level, the best of all levels.
 * @throws DivergenceError for numbers that are not finite, where the selection asks for it
 * @param values    logits of all levels, then deltas of all levels, each level flattened as [H, W, A] and [H, W, A, 4]
 * @param imageSize (height, width) of the image inside the padded input
 */
export function findTopProposals(
  values: Float32Array,
  levels: readonly LevelSize[],
  imageSize: readonly [number, number],
  anchors: AnchorGenerator,
  transform: Box2BoxTransform,
  selection: ProposalSelection,
): Proposals {
  const counts = levels.map(({ height, width }) => height * width * anchors.anchorsPerLocation);
  const total = counts.reduce((a, b) => a + b, 0);
  const capacity = counts.reduce((a, count) => a + Math.min(count, selection.preNmsTopK), 0);
  const boxes = new Float32Array(capacity * 4);
  const scores = new Float32Array(capacity);
  const levelOf = new Int32Array(capacity);
  const anchor = new Float32Array(4);
  let kept = 0;
  for (let level = 0, start = 0; level < levels.length; start += counts[level++]) {
    for (const index of topK(values, start, counts[level], selection.preNmsTopK)) {
      anchors.anchorAt(level, levels[level].width, index, anchor, 0);
      transform.decode(values, total + (start + index) * 4, anchor, 0, boxes, kept * 4);
      const score = values[start + index];
      if (!isFiniteBox(boxes, kept * 4) || !Number.isFinite(score)) {
        if (!selection.mustBeFinite) continue;
        throw new DivergenceError(
          `Training has diverged: the proposals contain NaN or infinity (level ${level}). Lower SOLVER.BASE_LR or clip gradients.`,
        );
      }
      clipBox(boxes, kept * 4, imageSize);
      if (!isLargerThan(boxes, kept * 4, selection.minBoxSize)) continue;
      scores[kept] = score;
      levelOf[kept++] = level;
    }
  }
  const keep = batchedNms(
    boxes.subarray(0, kept * 4),
    scores.subarray(0, kept),
    levelOf.subarray(0, kept),
    selection.nmsThreshold,
  );
  const count = Math.min(keep.length, selection.postNmsTopK);
  const result = { boxes: new Float32Array(count * 4), objectnessLogits: new Float32Array(count) };
  for (let i = 0; i < count; i++) {
    result.boxes.set(boxes.subarray(keep[i] * 4, keep[i] * 4 + 4), i * 4);
    result.objectnessLogits[i] = scores[keep[i]];
  }
  return result;
}

/** Whether the four numbers at `at` are finite. */
export function isFiniteBox(boxes: Float32Array, at: number): boolean {
  return (
    Number.isFinite(boxes[at]) &&
    Number.isFinite(boxes[at + 1]) &&
    Number.isFinite(boxes[at + 2]) &&
    Number.isFinite(boxes[at + 3])
  );
}

/** Clips the box at `at` to an image of (height, width). */
export function clipBox(boxes: Float32Array, at: number, [height, width]: readonly [number, number]): void {
  boxes[at] = Math.min(Math.max(boxes[at], 0), width);
  boxes[at + 1] = Math.min(Math.max(boxes[at + 1], 0), height);
  boxes[at + 2] = Math.min(Math.max(boxes[at + 2], 0), width);
  boxes[at + 3] = Math.min(Math.max(boxes[at + 3], 0), height);
}

/** Whether both sides of the box at `at` are longer than `size`. */
export function isLargerThan(boxes: Float32Array, at: number, size: number): boolean {
  return Math.fround(boxes[at + 2] - boxes[at]) > size && Math.fround(boxes[at + 3] - boxes[at + 1]) > size;
}
