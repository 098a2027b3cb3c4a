import { nms } from '../ops/nms/nms.js';
import { isFiniteBox } from '../rpn/find_top_proposals.js';
import type { Detections, DetectionSelection } from './fast_rcnn_inference.js';

/**
 * Detections of one image from its classified regions (Matterport's `refine_detections`): the likeliest class alone, at least the threshold; its box clipped to
 * the picture; suppression within classes, at most `topK` of each, then of all.
 * @param decoded [R, 4K] normalised boxes
 * @param scores  [R, K + 1], background last
 * @param window  the picture in the padded input: (x0, y0, x1, y1), normalised
 */
export function matterportDetections(
  decoded: Float32Array,
  scores: Float32Array,
  rows: number,
  window: ArrayLike<number>,
  { scoreThreshold, nmsThreshold, topK }: DetectionSelection,
): Detections {
  const columns = rows === 0 ? 1 : scores.length / rows;
  const threshold = Math.fround(scoreThreshold);
  const candidates = new Map<number, number[]>();
  const boxes = new Float32Array(rows * 4);
  const best = new Float32Array(rows);
  const labels = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    let label = columns - 1;
    for (let c = 0; c < columns - 1; c++) if (scores[at + c] > scores[at + label]) label = c;
    if (label === columns - 1 || !(scores[at + label] >= threshold)) continue;
    const from = (row * (columns - 1) + label) * 4;
    if (!isFiniteBox(decoded, from)) continue;
    for (let k = 0; k < 4; k++) boxes[row * 4 + k] = Math.max(Math.min(decoded[from + k], window[2 + (k % 2)]), window[k % 2]);
    best[row] = scores[at + label];
    labels[row] = label;
    if (!candidates.has(label)) candidates.set(label, []);
    candidates.get(label)!.push(row);
  }
  const kept: number[] = [];
  for (const own of candidates.values()) {
    const ownBoxes = Float32Array.from(own.flatMap((row) => [...boxes.subarray(row * 4, row * 4 + 4)]));
    const ownScores = Float32Array.from(own, (row) => best[row]);
    kept.push(...[...nms(ownBoxes, ownScores, Math.fround(nmsThreshold)).subarray(0, topK)].map((i) => own[i]));
  }
  const chosen = Int32Array.from(kept.sort((a, b) => best[b] - best[a] || a - b).slice(0, topK));
  return {
    boxes: Float32Array.from([...chosen].flatMap((row) => [...boxes.subarray(row * 4, row * 4 + 4)])),
    scores: Float32Array.from(chosen, (row) => best[row]),
    classes: chosen.map((row) => labels[row]),
    rows: chosen,
  };
}
