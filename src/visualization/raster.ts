import type { Rgb } from './colors.js';

/** An RGB picture that is drawn upon in place. */
export interface Canvas {
  /** [height, width, 3], 0..255. */
  data: Uint8Array;
  height: number;
  width: number;
}

type Polygons = readonly ArrayLike<number>[];

/** How much of each pixel of a rectangle a shape covers, 0..1, row-major. */
interface Coverage {
  x0: number;
  y0: number;
  width: number;
  height: number;
  values: Float32Array;
}

/**
 * Fills closed polygons with exact area anti-aliasing. Polygons that wind the same way unite, the other way cut holes.
 * @param polygons flat (x, y, ...) lists, pixels; parts outside the canvas are cut off
 * @param opacity  0..1
 */
export function fillPolygons(canvas: Canvas, polygons: Polygons, color: Rgb, opacity = 1): void {
  const coverage = emptyCoverage(canvas, polygons, 0);
  if (!coverage) return;
  const { width, height, values } = coverage;
  const stride = width + 2;
  const sums = new Float32Array(stride * height);
  for (const p of polygons) {
    for (let i = 0, n = p.length; i < n; i += 2) {
      const [j, k] = [(i + 2) % n, (i + 3) % n];
      accumulateEdge(sums, width, height, p[i] - coverage.x0, p[i + 1] - coverage.y0, p[j] - coverage.x0, p[k] - coverage.y0);
    }
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0, sum = 0; x < width; x++) {
      sum += sums[y * stride + x];
      values[y * width + x] = Math.min(1, Math.abs(sum));
    }
  }
  blend(canvas, coverage, color, opacity);
}

/**
 * Draws the borders of polygons with round joins; where strokes of one call cross, they do not darken each other.
 * @param lineWidth pixels
 * @param closed    whether the last point is joined to the first
 */
export function strokePolygons(
  canvas: Canvas,
  polygons: Polygons,
  lineWidth: number,
  color: Rgb,
  opacity = 1,
  closed = true,
): void {
  const reach = lineWidth / 2 + 0.5;
  const coverage = emptyCoverage(canvas, polygons, reach + 1);
  if (!coverage) return;
  const { x0: left, y0: top, width, height, values } = coverage;
  for (const p of polygons) {
    const n = p.length;
    for (let i = 0; i < (closed ? n : n - 2); i += 2) {
      const [ax, ay, bx, by] = [p[i] - left, p[i + 1] - top, p[(i + 2) % n] - left, p[(i + 3) % n] - top];
      const [dx, dy] = [bx - ax, by - ay];
      const length2 = dx * dx + dy * dy || 1;
      const yEnd = Math.min(height - 1, Math.ceil(Math.max(ay, by) + reach));
      for (let y = Math.max(0, Math.floor(Math.min(ay, by) - reach)); y <= yEnd; y++) {
        // Long slanted lines: only the columns that this row can reach.
        const [xStart, xEnd] = rowSpan(ax, ay, bx, by, y + 0.5, reach + 0.5, width);
        for (let x = xStart; x <= xEnd; x++) {
          const [px, py] = [x + 0.5 - ax, y + 0.5 - ay];
          const t = Math.min(1, Math.max(0, (px * dx + py * dy) / length2));
          const value = Math.min(1, reach - Math.hypot(px - t * dx, py - t * dy), lineWidth);
          if (value > values[y * width + x]) values[y * width + x] = value;
        }
      }
    }
  }
  blend(canvas, coverage, color, opacity);
}

/** A rectangle with round corners, as one polygon. */
export function roundedRectangle(x0: number, y0: number, x1: number, y1: number, radius: number): Float32Array {
  const r = Math.max(0, Math.min(radius, (x1 - x0) / 2, (y1 - y0) / 2));
  const corners = [
    [x1 - r, y0 + r, -90],
    [x1 - r, y1 - r, 0],
    [x0 + r, y1 - r, 90],
    [x0 + r, y0 + r, 180],
  ];
  const points = corners.flatMap(([cx, cy, start]) =>
    Array.from({ length: 7 }, (_, i) => ((start + 15 * i) * Math.PI) / 180).flatMap((a) => [
      cx + r * Math.cos(a),
      cy + r * Math.sin(a),
    ]),
  );
  return Float32Array.from(points);
}

/** The columns of one pixel row that lie within `reach` of a line. */
function rowSpan(ax: number, ay: number, bx: number, by: number, y: number, reach: number, width: number): [number, number] {
  let [low, high] = [Math.min(ax, bx), Math.max(ax, bx)];
  if (Math.abs(by - ay) > 1) {
    const at = (v: number): number =>
      ax + ((Math.min(Math.max(v, Math.min(ay, by)), Math.max(ay, by)) - ay) / (by - ay)) * (bx - ax);
    const [above, below] = [at(y - reach), at(y + reach)];
    [low, high] = [Math.min(above, below), Math.max(above, below)];
  }
  return [Math.max(0, Math.floor(low - reach)), Math.min(width - 1, Math.ceil(high + reach))];
}

/** The pixels of the canvas that the polygons, grown by `margin`, can touch; undefined where there are none. */
function emptyCoverage(canvas: Canvas, polygons: Polygons, margin: number): Coverage | undefined {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const p of polygons) {
    for (let i = 0; i < p.length; i += 2) {
      x0 = Math.min(x0, p[i]);
      x1 = Math.max(x1, p[i]);
      y0 = Math.min(y0, p[i + 1]);
      y1 = Math.max(y1, p[i + 1]);
    }
  }
  x0 = Math.max(0, Math.floor(x0 - margin));
  y0 = Math.max(0, Math.floor(y0 - margin));
  const width = Math.min(canvas.width, Math.ceil(x1 + margin)) - x0;
  const height = Math.min(canvas.height, Math.ceil(y1 + margin)) - y0;
  if (!(width > 0 && height > 0)) return undefined;
  return { x0, y0, width, height, values: new Float32Array(width * height) };
}

/** Adds one edge to a table whose running sums along rows are signed areas (the method of font-rs). */
function accumulateEdge(sums: Float32Array, width: number, height: number, ax: number, ay: number, bx: number, by: number): void {
  if (ay === by) return;
  const direction = ay < by ? 1 : -1;
  const [topX, topY, bottomX, bottomY] = ay < by ? [ax, ay, bx, by] : [bx, by, ax, ay];
  const slope = (bottomX - topX) / (bottomY - topY);
  const clampX = (x: number): number => Math.min(width, Math.max(0, x));
  for (let y = Math.max(0, Math.floor(topY)), end = Math.min(height, Math.ceil(bottomY)); y < end; y++) {
    const [from, to] = [Math.max(y, topY), Math.min(y + 1, bottomY)];
    const d = (to - from) * direction;
    const xa = clampX(topX + (from - topY) * slope);
    const xb = clampX(topX + (to - topY) * slope);
    const [x0, x1] = xa < xb ? [xa, xb] : [xb, xa];
    const first = Math.floor(x0);
    const last = Math.ceil(x1);
    const row = y * (width + 2) + first;
    if (last <= first + 1) {
      const part = (x0 + x1) / 2 - first;
      sums[row] += d * (1 - part);
      sums[row + 1] += d * part;
      continue;
    }
    // The edge crosses several pixels: each gets the mean of a ramp over its width, written as the change from its left neighbour.
    const length = x1 - x0;
    const ramp = (x: number): number => (x >= x1 ? x - x0 - length / 2 : x <= x0 ? 0 : (x - x0) ** 2 / (2 * length));
    let previous = 0;
    for (let x = first; x <= last; x++) {
      const mean = ramp(x + 1) - ramp(x);
      sums[row + x - first] += d * (mean - previous);
      previous = mean;
    }
  }
}

function blend(canvas: Canvas, coverage: Coverage, color: Rgb, opacity: number): void {
  for (let y = 0; y < coverage.height; y++) {
    for (let x = 0; x < coverage.width; x++) {
      const alpha = coverage.values[y * coverage.width + x] * opacity;
      if (alpha <= 0) continue;
      const at = ((coverage.y0 + y) * canvas.width + coverage.x0 + x) * 3;
      for (let c = 0; c < 3; c++)
        canvas.data[at + c] = Math.round(canvas.data[at + c] + (color[c] - canvas.data[at + c]) * alpha);
    }
  }
}
