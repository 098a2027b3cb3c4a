/** A rectangular piece of a binary mask, in the pixels of the picture. */
export interface MaskCrop {
  /** First column and row (inclusive), last column and row (exclusive), whole pixels. */
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  /** [(y1 - y0), (x1 - x0)] row-major, 0 or not 0. */
  bitmap: Uint8Array;
}

/**
 * Traces the borders of a mask and rounds off the stairs of its pixels.
 *
 * Borders run along pixel edges with the mask on their right hand, diagonal neighbours count as apart; the middles of the edges
 * are then smoothed twice with (1 2 1)/4, which moves a border by less than a pixel, and thinned to a tolerance of 0.1 pixel.
 *
 * @returns closed polygons, flat (x, y, x, y, ...), picture pixels with pixel i covering [i, i + 1); holes wind the other way
 */
export function maskContours(mask: MaskCrop): Float32Array[] {
  const width = mask.x1 - mask.x0;
  const height = mask.y1 - mask.y0;
  const inside = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < width && y < height && mask.bitmap[y * width + x] !== 0;
  const seen = new Uint8Array(width * height);
  const contours: Float32Array[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // Every border has a top edge somewhere; the seen marks are set on top edges only.
      if (seen[y * width + x] || !inside(x, y) || inside(x, y - 1)) continue;
      contours.push(simplify(smooth(trace(x, y)), 0.1));
    }
  }
  return contours;

  function trace(startX: number, startY: number): number[] {
    const points: number[] = [];
    // (px, py) is the corner we stand on, (dx, dy) the direction of travel; the mask lies on the right.
    let [px, py, dx, dy] = [startX, startY, 1, 0];
    do {
      if (dx === 1) seen[py * width + px] = 1;
      points.push(mask.x0 + px + dx / 2, mask.y0 + py + dy / 2);
      px += dx;
      py += dy;
      const right = inside(Math.floor(px + (dx - dy) / 2), Math.floor(py + (dy + dx) / 2));
      const left = inside(Math.floor(px + (dx + dy) / 2), Math.floor(py + (dy - dx) / 2));
      if (!right) [dx, dy] = [-dy, dx];
      else if (left) [dx, dy] = [dy, -dx];
    } while (px !== startX || py !== startY || dx !== 1);
    return points;
  }
}

/**
 * Area enclosed by closed polygons, holes taken off.
 * @returns square pixels
 */
export function polygonsArea(polygons: readonly ArrayLike<number>[]): number {
  let area = 0;
  for (const p of polygons) {
    const n = p.length;
    for (let i = 0; i < n; i += 2) area += (p[i] * p[(i + 3) % n] - p[(i + 2) % n] * p[i + 1]) / 2;
  }
  return Math.abs(area);
}

function smooth(points: number[]): number[] {
  const n = points.length;
  let current = points;
  // A lone pixel has four middles; smoothing would shrink it to nothing.
  for (let round = 0; round < 2 && n > 16; round++) {
    current = current.map((value, i) => (current[(i + n - 2) % n] + 2 * value + current[(i + 2) % n]) / 4);
  }
  return current;
}

/** Douglas and Peucker on a closed curve, split at its first point and the one farthest from it. */
function simplify(points: number[], tolerance: number): Float32Array {
  const n = points.length / 2;
  const keep = new Uint8Array(n);
  let far = 0;
  for (let i = 1, best = -1; i < n; i++) {
    const distance = (points[2 * i] - points[0]) ** 2 + (points[2 * i + 1] - points[1]) ** 2;
    if (distance > best) [best, far] = [distance, i];
  }
  keep[0] = keep[far] = 1;
  const spans: [number, number][] = [
    [0, far],
    [far, n],
  ];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [from, to] = span;
    const [ax, ay] = [points[2 * from], points[2 * from + 1]];
    const end = to % n;
    const [dx, dy] = [points[2 * end] - ax, points[2 * end + 1] - ay];
    const length = Math.hypot(dx, dy) || 1;
    let [worst, at] = [tolerance, -1];
    for (let i = from + 1; i < to; i++) {
      const distance = Math.abs((points[2 * i] - ax) * dy - (points[2 * i + 1] - ay) * dx) / length;
      if (distance > worst) [worst, at] = [distance, i];
    }
    if (at < 0) continue;
    keep[at] = 1;
    spans.push([from, at], [at, to]);
  }
  const kept: number[] = [];
  for (let i = 0; i < n; i++) if (keep[i]) kept.push(points[2 * i], points[2 * i + 1]);
  return Float32Array.from(kept);
}
