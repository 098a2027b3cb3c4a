/** Boxes as [N * 4] float32 (x0, y0, x1, y1), in pixels; the arithmetic is that of Detectron2's `Boxes`. */

/** Cut off what lies outside of a picture. */
export function clipBoxes(boxes: Float32Array, height: number, width: number): Float32Array {
  return boxes.map((v, i) => Math.min(Math.max(v, 0), i % 2 === 0 ? width : height));
}

/** Whether each box is wider and higher than a threshold in pixels (default 0). */
export function nonemptyBoxes(boxes: Float32Array, threshold = 0): boolean[] {
  return rows(boxes, ([x0, y0, x1, y1]) => Math.fround(x1 - x0) > threshold && Math.fround(y1 - y0) > threshold);
}

/** [N * 2] x and y of the centres. */
export function boxCenters(boxes: Float32Array): Float32Array {
  return Float32Array.from(rows(boxes, ([x0, y0, x1, y1]) => [Math.fround(x0 + x1) / 2, Math.fround(y0 + y1) / 2]).flat());
}

/** Whether each box lies inside a picture that is larger by `margin` pixels on each side (default 0). */
export function boxesInside(boxes: Float32Array, height: number, width: number, margin = 0): boolean[] {
  return rows(boxes, ([x0, y0, x1, y1]) => x0 >= -margin && y0 >= -margin && x1 < width + margin && y1 < height + margin);
}

/** Coordinates times a factor each way. */
export function scaleBoxes(boxes: Float32Array, x: number, y: number): Float32Array {
  return boxes.map((v, i) => v * (i % 2 === 0 ? x : y));
}

function rows<T>(boxes: Float32Array, of: (box: Float32Array) => T): T[] {
  return Array.from({ length: boxes.length / 4 }, (_, i) => of(boxes.subarray(i * 4, i * 4 + 4)));
}
