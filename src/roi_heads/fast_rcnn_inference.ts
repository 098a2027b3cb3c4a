import { clipBox, isFiniteBox, isLargerThan } from '../rpn/find_top_proposals.js';
import { suppressDetections, type SuppressionOptions } from './suppress_detections.js';

export interface DetectionSelection extends SuppressionOptions {
  /** Boxes with a side of at most this (input pixels, after clipping) are dropped before suppression; all are kept where it is not given. */
  readonly minBoxSize?: number;
}

/** Boxes, scores and classes of one image, best first. */
export interface Detections {
  /** [D, 4] */
  readonly boxes: Float32Array<ArrayBuffer>;
  readonly scores: Float32Array<ArrayBuffer>;
  readonly classes: Int32Array<ArrayBuffer>;
  /** The proposal each one came from, counted among the rows whose numbers are all finite. */
  readonly rows: Int32Array<ArrayBuffer>;
}

/**
 * Detections of one image from its scored boxes (Detectron2's `fast_rcnn_inference`): rows with a number that is not finite are dropped, the background
 * column is dropped, boxes are clipped, scores compared (strictly), suppressed per class, the best kept.
 * @param boxes     [R, 4K] or [R, 4]
 * @param scores    [R, K + 1], background last
 * @param imageSize (height, width)
 */
export function fastRcnnInference(
  boxes: Float32Array,
  scores: Float32Array,
  rows: number,
  imageSize: readonly [number, number],
  selection: DetectionSelection,
): Detections {
  const { scoreThreshold, minBoxSize } = selection;
  const columns = rows === 0 ? 1 : scores.length / rows;
  const boxColumns = rows === 0 ? 4 : boxes.length / rows;
  const threshold = Math.fround(scoreThreshold);
  const found: { row: number; finiteRow: number; label: number }[] = [];
  for (let row = 0, finiteRow = 0; row < rows; row++) {
    if (!isFiniteRow(boxes, row * boxColumns, boxColumns) || !isFiniteScores(scores, row * columns, columns)) continue;
    for (let label = 0; label < columns - 1; label++)
      if (scores[row * columns + label] > threshold) found.push({ row, finiteRow, label });
    finiteRow++;
  }
  const candidateBoxes = new Float32Array(found.length * 4);
  const candidateScores = new Float32Array(found.length);
  const candidateClasses = new Int32Array(found.length);
  let candidates = 0;
  for (const candidate of found) {
    const { row, label } = candidate;
    const from = row * boxColumns + (boxColumns === 4 ? 0 : 4 * label);
    candidateBoxes.set(boxes.subarray(from, from + 4), candidates * 4);
    clipBox(candidateBoxes, candidates * 4, imageSize);
    if (minBoxSize !== undefined && !isLargerThan(candidateBoxes, candidates * 4, minBoxSize)) continue;
    candidateScores[candidates] = scores[row * columns + label];
    candidateClasses[candidates] = label;
    found[candidates++] = candidate;
  }
  const keep = suppressDetections(
    candidateBoxes.subarray(0, candidates * 4),
    candidateScores.subarray(0, candidates),
    candidateClasses.subarray(0, candidates),
    selection,
  );
  const result = {
    boxes: new Float32Array(keep.indices.length * 4),
    scores: keep.scores,
    classes: new Int32Array(keep.indices.length),
    rows: new Int32Array(keep.indices.length),
  };
  keep.indices.forEach((from, i) => {
    result.boxes.set(candidateBoxes.subarray(from * 4, from * 4 + 4), i * 4);
    result.classes[i] = candidateClasses[from];
    result.rows[i] = found[from].finiteRow;
  });
  return result;
}

/** Nothing found. */
export function noDetections(): Detections {
  return { boxes: new Float32Array(0), scores: new Float32Array(0), classes: new Int32Array(0), rows: new Int32Array(0) };
}

function isFiniteRow(boxes: Float32Array, at: number, columns: number): boolean {
  for (let i = 0; i < columns; i += 4) if (!isFiniteBox(boxes, at + i)) return false;
  return true;
}

function isFiniteScores(scores: Float32Array, at: number, columns: number): boolean {
  for (let i = 0; i < columns; i++) if (!Number.isFinite(scores[at + i])) return false;
  return true;
}
