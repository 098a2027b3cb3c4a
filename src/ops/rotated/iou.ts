/** Boxes with a smaller area overlap nothing. */
export const SMALLEST_AREA = 1e-14;

/** Corners of the box (cx, cy, w, h, degrees) at `at`, around an origin, x and y in turn. */
function corners(boxes: Float32Array, at: number, originX: number, originY: number, out: Float64Array): void {
  const theta = (boxes[at + 4] * Math.PI) / 180;
  const [cos, sin] = [Math.cos(theta) / 2, Math.sin(theta) / 2];
  const [x, y, w, h] = [boxes[at] - originX, boxes[at + 1] - originY, boxes[at + 2], boxes[at + 3]];
  out[0] = x + sin * h + cos * w;
  out[1] = y + cos * h - sin * w;
  out[2] = x - sin * h + cos * w;
  out[3] = y - cos * h - sin * w;
  out[4] = 2 * x - out[0];
  out[5] = 2 * y - out[1];
  out[6] = 2 * x - out[2];
  out[7] = 2 * y - out[3];
}

/** The buffers of one pair's clipping: two quadrangles and two polygons of at most 8 corners (16 leave room). */
const quadA = new Float64Array(8);
const quadB = new Float64Array(8);

/** Area of what two quadrangles share: the first is clipped at each side of the second (Sutherland and Hodgman 1974). */
function sharedArea(): number {
  let polygon = Array.from(quadA);
  // The corners run clockwise or counterclockwise by the sign of this; both boxes are built the same way.
  for (let side = 0; side < 4; side++) {
    const [ax, ay] = [quadB[2 * side], quadB[2 * side + 1]];
    const next = (side + 1) % 4;
    const [ex, ey] = [quadB[2 * next] - ax, quadB[2 * next + 1] - ay];
    const clipped: number[] = [];
    for (let k = 0; k < polygon.length; k += 2) {
      const [px, py] = [polygon[k], polygon[k + 1]];
      const after = (k + 2) % polygon.length;
      const [qx, qy] = [polygon[after], polygon[after + 1]];
      // At most 0 is inside: the corners run with y downwards.
      const p = ex * (py - ay) - ey * (px - ax);
      const q = ex * (qy - ay) - ey * (qx - ax);
      if (p <= 0) clipped.push(px, py);
      if (p < 0 !== q < 0 && p !== q && p !== 0 && q !== 0) {
        const t = p / (p - q);
        clipped.push(px + t * (qx - px), py + t * (qy - py));
      }
    }
    polygon = clipped;
    if (polygon.length < 6) return 0;
  }
  let twice = 0;
  for (let k = 0; k < polygon.length; k += 2) {
    const after = (k + 2) % polygon.length;
    twice += polygon[k] * polygon[after + 1] - polygon[after] * polygon[k + 1];
  }
  return Math.abs(twice) / 2;
}

/** Intersection over union of the boxes at `a` and `b`, floats into the arrays. */
export function rotatedIouAt(boxesA: Float32Array, a: number, boxesB: Float32Array, b: number): number {
  const areaA = boxesA[a + 2] * boxesA[a + 3];
  const areaB = boxesB[b + 2] * boxesB[b + 3];
  if (areaA < SMALLEST_AREA || areaB < SMALLEST_AREA) return 0;
  const [dx, dy] = [boxesA[a] - boxesB[b], boxesA[a + 1] - boxesB[b + 1]];
  const reach = (Math.hypot(boxesA[a + 2], boxesA[a + 3]) + Math.hypot(boxesB[b + 2], boxesB[b + 3])) / 2;
  if (dx * dx + dy * dy > reach * reach) return 0;
  // Around the middle of both, so that digits are not spent on where in the picture they are.
  const originX = (boxesA[a] + boxesB[b]) / 2;
  const originY = (boxesA[a + 1] + boxesB[b + 1]) / 2;
  corners(boxesA, a, originX, originY, quadA);
  corners(boxesB, b, originX, originY, quadB);
  const shared = sharedArea();
  return shared / (areaA + areaB - shared);
}

/**
 * Intersection over union of rotated boxes, each (cx, cy, w, h, angle): pixels, and degrees counterclockwise as one sees the picture
 * (Detectron2's `pairwise_iou_rotated`). A box with an area below 1e-14 overlaps nothing.
 * @param a [A, 5]
 * @param b [B, 5]
 * @returns [A, B]
 */
export function rotatedIou(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const [rows, columns] = [a.length / 5, b.length / 5];
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[i * columns + j] = rotatedIouAt(a, 5 * i, b, 5 * j);
  }
  return out;
}
