import { ArgumentError } from '../../errors.js';
import { traceContours } from '../../structures/masks/contours.js';
import { simplifyPolygon } from '../../structures/masks/simplify_polygon.js';
import type { Rle } from './rle.js';
import { checkRle, rleToBox } from './rle.js';

/** One connected piece of a mask (pixels joined by their sides). */
export interface MaskPolygon {
  /** x, y, x, y, ... in pixels, along pixel edges; clockwise on a screen. */
  outer: number[];
  /** Holes, anticlockwise. */
  holes: number[][];
}

/** Options of {@link rleToPolygons}. */
export interface RleToPolygonsOptions {
  /** Corners within this many pixels of the thinned outline are left out. 0 (default) keeps the exact outline. */
  tolerance?: number;
}

/**
 * The outlines of a mask. With tolerance 0 they are exact: rasterised by {@link polygonsToRle} (pycocotools' `frPoly`) they give the mask back.
 *
 * @throws ArgumentError for a mask whose runs do not fit its size, or a negative tolerance
 */
export function rleToPolygons(rle: Rle, options: RleToPolygonsOptions = {}): MaskPolygon[] {
  const tolerance = options.tolerance ?? 0;
  if (!(tolerance >= 0)) throw new ArgumentError(`The tolerance of an outline must be a number from 0, not ${tolerance}.`);
  checkRle(rle);
  const [x0, y0, width, height] = rleToBox(rle);
  if (width === 0) return [];
  const bitmap = cropOf(rle, x0, y0, width, height);
  const labels = labelComponents(bitmap, height, width);
  const pieces = new Map<number, MaskPolygon>();
  const thin = (points: number[]): number[] => {
    const thinned = tolerance > 0 ? simplifyPolygon(points, tolerance) : points;
    return (thinned.length >= 6 ? thinned : points).map((v, i) => v + (i % 2 === 0 ? x0 : y0));
  };
  const contours = traceContours(bitmap, height, width).map((c) => ({ ...c, label: labels[pixelBeside(c.points, width)]! }));
  for (const c of contours) if (!c.hole) pieces.set(c.label, { outer: thin(c.points), holes: [] });
  for (const c of contours) if (c.hole) pieces.get(c.label)!.holes.push(thin(c.points));
  return [...pieces.values()];
}

/**
 * The same as COCO's `segmentation`: one closed polygon a piece. COCO has no holes, so each is joined to its outline by a cut of no width, which every
 * even-odd rasteriser (pycocotools among them) fills rightly.
 */
export function rleToCocoPolygons(rle: Rle, options: RleToPolygonsOptions = {}): number[][] {
  return rleToPolygons(rle, options).map(({ outer, holes }) => holes.reduce(joinHole, outer));
}

/** Walks the outline to the corner nearest to the hole, around the hole, and back. */
function joinHole(outline: readonly number[], hole: readonly number[]): number[] {
  let [best, at, first] = [Infinity, 0, 0];
  for (let i = 0; i < outline.length; i += 2)
    for (let j = 0; j < hole.length; j += 2) {
      const distance = (outline[i]! - hole[j]!) ** 2 + (outline[i + 1]! - hole[j + 1]!) ** 2;
      if (distance < best) [best, at, first] = [distance, i, j];
    }
  const around = [...hole.slice(first), ...hole.slice(0, first + 2)];
  return [...outline.slice(0, at + 2), ...around, ...outline.slice(at)];
}

/** [height, width] of the foreground's box, by rows. */
function cropOf({ size, counts }: Rle, x0: number, y0: number, width: number, height: number): Uint8Array {
  const out = new Uint8Array(width * height);
  const rows = size[0];
  let position = 0;
  for (let i = 0; i + 1 < counts.length; i += 2) {
    position += counts[i]!;
    for (let n = counts[i + 1]!; n > 0;) {
      const x = Math.floor(position / rows);
      const y = position - x * rows;
      const length = Math.min(n, rows - y);
      for (let k = 0; k < length; k++) out[(y - y0 + k) * width + x - x0] = 1;
      position += length;
      n -= length;
    }
  }
  return out;
}

/** Numbers from 1 for pixels joined by their sides, 0 for background; by rows of the bitmap. */
export function labelComponents(bitmap: Uint8Array, height: number, width: number): Int32Array {
  const labels = new Int32Array(bitmap.length);
  const stack: number[] = [];
  let label = 0;
  for (let start = 0; start < bitmap.length; start++) {
    if (!bitmap[start] || labels[start]) continue;
    label++;
    labels[start] = label;
    stack.push(start);
    for (let p = stack.pop(); p !== undefined; p = stack.pop()) {
      const x = p % width;
      const visit = (q: number): void => {
        if (!bitmap[q] || labels[q]) return;
        labels[q] = label;
        stack.push(q);
      };
      if (x > 0) visit(p - 1);
      if (x < width - 1) visit(p + 1);
      if (p >= width) visit(p - width);
      if (p < (height - 1) * width) visit(p + width);
    }
  }
  return labels;
}

/** The mask's pixel on the right hand of a contour's first edge. */
function pixelBeside(points: readonly number[], width: number): number {
  const [x, y] = [points[0]!, points[1]!];
  const right = points[2]! > x;
  const left = points[2]! < x;
  const down = points[3]! > y;
  const column = right || (!left && !down) ? x : x - 1;
  const row = right || down ? y : y - 1;
  return row * width + column;
}
