import type { Detections, DetectionSelection } from '../roi_heads/fast_rcnn_inference.js';
import { suppressDetections } from '../roi_heads/suppress_detections.js';
import type { AnchorGenerator } from '../rpn/anchor_generator.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';
import type { LevelSize } from '../rpn/find_top_proposals.js';
import { topK } from '../rpn/top_k.js';
import { CANDIDATE_COLUMNS } from './dense_kernel.js';

export interface DenseSelection extends DetectionSelection {
  /** The best candidates a level that are kept before NMS. */
  readonly topKCandidates: number;
}

/**
 * Detections of one image from dense outputs (Detectron2's `RetinaNet.inference_single_image`): per level the scores above the threshold, the best of
 * them decoded without clipping, then NMS per class over all levels. `rows` are the anchors over all levels.
 * @param logits per level [H, W, A, K]
 * @param deltas per level [H, W, A, 4]
 */
export function retinaNetInference(
  logits: readonly Float32Array[],
  deltas: readonly Float32Array[],
  levels: readonly LevelSize[],
  anchors: AnchorGenerator,
  transform: Box2BoxTransform,
  numClasses: number,
  selection: DenseSelection,
): Detections {
  const threshold = Math.fround(selection.scoreThreshold);
  const { boxes, scores, classes, rows }: Candidates = { boxes: [], scores: [], classes: [], rows: [] };
  const anchor = new Float32Array(4);
  const box = new Float32Array(4);
  for (let level = 0, first = 0; level < levels.length; first += deltas[level++].length / 4) {
    const above = scoresAbove(logits[level], threshold);
    for (const chosen of topK(above.scores, 0, above.scores.length, selection.topKCandidates)) {
      const index = above.indices[chosen];
      const place = Math.floor(index / numClasses);
      anchors.anchorAt(level, levels[level].width, place, anchor, 0);
      transform.decode(deltas[level], place * 4, anchor, 0, box, 0);
      boxes.push(...box);
      scores.push(above.scores[chosen]);
      classes.push(index - place * numClasses);
      rows.push(first + place);
    }
  }
  return suppress({ boxes, scores, classes, rows }, selection);
}

/**
 * Detections of one image from the candidates that the device chose, as `retinaNetInference` makes them from all outputs: of equal scores at the end of a
 * level's candidates the device keeps the larger logit.
 * @param candidates [C, 7] as `DENSE_CANDIDATES` says
 */
export function detectionsOfCandidates(candidates: Float32Array, selection: DenseSelection): Detections {
  const threshold = Math.fround(selection.scoreThreshold);
  const chosen: Candidates = { boxes: [], scores: [], classes: [], rows: [] };
  for (let at = 0; at < candidates.length; at += CANDIDATE_COLUMNS) {
    const score = sigmoid(candidates[at + 4]);
    if (!(score > threshold)) continue;
    for (let c = 0; c < 4; c++) chosen.boxes.push(candidates[at + c]);
    chosen.scores.push(score);
    chosen.classes.push(candidates[at + 5]);
    chosen.rows.push(candidates[at + 6]);
  }
  return suppress(chosen, selection);
}

/** Columns of decoded candidates, in order of levels. */
interface Candidates {
  /** [C, 4] */
  readonly boxes: number[];
  readonly scores: number[];
  readonly classes: number[];
  readonly rows: number[];
}

const sigmoid = (logit: number): number => Math.fround(1 / (1 + Math.exp(-logit)));

/** NMS per class over all levels. */
function suppress({ boxes, scores, classes, rows }: Candidates, selection: DenseSelection): Detections {
  const keep = suppressDetections(Float32Array.from(boxes), Float32Array.from(scores), Int32Array.from(classes), selection);
  const result = {
    boxes: new Float32Array(keep.indices.length * 4),
    scores: keep.scores,
    classes: new Int32Array(keep.indices.length),
    rows: new Int32Array(keep.indices.length),
  };
  keep.indices.forEach((from, i) => {
    for (let c = 0; c < 4; c++) result.boxes[i * 4 + c] = boxes[from * 4 + c];
    result.classes[i] = classes[from];
    result.rows[i] = rows[from];
  });
  return result;
}

/** The sigmoids that pass the threshold, with their places. Most logits are far below it, so they are compared before the exponential. */
function scoresAbove(logits: Float32Array, threshold: number): { scores: Float32Array<ArrayBuffer>; indices: Int32Array } {
  // A little lower than the logit of the threshold, so that rounding decides in the sigmoid alone.
  const least = threshold > 0 && threshold < 1 ? Math.log(threshold / (1 - threshold)) - 1e-3 : -Infinity;
  const scores: number[] = [];
  const indices: number[] = [];
  for (let i = 0; i < logits.length; i++) {
    if (!(logits[i] > least)) continue;
    const score = sigmoid(logits[i]);
    if (score <= threshold) continue;
    scores.push(score);
    indices.push(i);
  }
  return { scores: Float32Array.from(scores), indices: Int32Array.from(indices) };
}
