/** One closed outline of a mask along pixel edges. */
export interface Contour {
  /** x, y, x, y, ... of the corners in pixels (pixel (0, 0) covers 0..1 in x and y); the last corner joins the first. */
  points: number[];
  /** Whether it bounds a hole (drawn anticlockwise) or the mask from outside (clockwise, as seen on a screen). */
  hole: boolean;
}

// Directions of an edge, turning right: right, down, left, up. The mask lies on the right-hand side of each edge.
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];

/**
 * Traces the outlines of a bitmap along the pixel grid. Pixels that touch at a corner only belong to different outer contours.
 * Filling all contours with the even-odd rule gives exactly the bitmap back.
 * @param bitmap [height, width] row-major, 0 or not 0
 * @param offsetX added to every x, for a bitmap that is a crop of an image
 * @param offsetY added to every y
 * @returns contours by their first corner, top to bottom, left to right; empty for an empty mask
 */
export function traceContours(bitmap: Uint8Array, height: number, width: number, offsetX = 0, offsetY = 0): Contour[] {
  const stride = width + 1;
  // Per grid corner, the edges that leave it and are not traced yet: bit d for direction d.
  const edges = new Uint8Array(stride * (height + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const p = y * width + x;
      if (!bitmap[p]) continue;
      const corner = y * stride + x;
      if (y === 0 || !bitmap[p - width]) edges[corner] |= 1;
      if (x === width - 1 || !bitmap[p + 1]) edges[corner + 1] |= 2;
      if (y === height - 1 || !bitmap[p + width]) edges[corner + stride + 1] |= 4;
      if (x === 0 || !bitmap[p - 1]) edges[corner + stride] |= 8;
    }
  }
  const contours: Contour[] = [];
  // Every contour has an edge that goes right.
  for (let corner = 0; corner < edges.length; corner++) {
    while (edges[corner] & 1) contours.push(traceFrom(corner, edges, stride, offsetX, offsetY));
  }
  return contours;
}

function traceFrom(start: number, edges: Uint8Array, stride: number, offsetX: number, offsetY: number): Contour {
  const points: number[] = [];
  let corner = start;
  let direction = 0;
  let last = -1;
  let doubleArea = 0;
  do {
    const x = corner % stride;
    const y = (corner - x) / stride;
    if (direction !== last) points.push(x + offsetX, y + offsetY);
    // The first edge stays until the walk comes back to it: at a corner that two outlines share, it is the one to turn into.
    if (corner !== start || direction !== 0) edges[corner] &= ~(1 << direction);
    doubleArea += x * STEP_Y[direction] - y * STEP_X[direction];
    corner += STEP_X[direction] + STEP_Y[direction] * stride;
    last = direction;
    direction = nextDirection(edges[corner], direction);
  } while (corner !== start || direction !== 0);
  edges[start] &= ~1;
  // The start may lie in the middle of a straight side (a trace begins at the leftmost edge of its top side, so only for holes).
  if (last === 0) points.splice(0, 2);
  return { points, hole: doubleArea < 0 };
}

/** Right turn first, which keeps to the same pixel, then straight on, then left: one of them is always there, for outlines are closed. */
function nextDirection(leaving: number, direction: number): number {
  for (const turn of [1, 0]) {
    const next = (direction + turn) & 3;
    if (leaving & (1 << next)) return next;
  }
  return (direction + 3) & 3;
}
