import { simplifyPolygon } from '../structures/masks/simplify_polygon.js';

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
      contours.push(Float32Array.from(simplifyPolygon(smooth(trace(x, y)), 0.1)));
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
