import { ArgumentError } from '../../errors.js';
import { mergeRles } from './merge_rle.js';
import type { Rle } from './rle.js';
import { encodeRle } from './rle.js';

/**
 * Rasterises one closed polygon exactly as pycocotools' `frPoly` does. That function walks the outline at a fifth of a pixel and records where
 * it steps from 5k+2 to 5k+3 in x; here those steps are computed directly, so the cost depends on the columns crossed, not on the outline's length.
 *
 * @param polygon x0, y0, x1, y1, ... in pixels; may leave the image
 * @throws ArgumentError for coordinates that are not finite or beyond 4e8
 */
export function polygonToRle(polygon: ArrayLike<number>, height: number, width: number): Rle {
  const points = polygon.length >> 1;
  if (points === 0 || height * width === 0) return encodeRle(new Uint8Array(height * width), height, width, 'column');
  const xs = new Float64Array(points + 1);
  const ys = new Float64Array(points + 1);
  for (let i = 0; i < points; i++) {
    const x = polygon[i * 2]!;
    const y = polygon[i * 2 + 1]!;
    if (!(Math.abs(x) <= LIMIT && Math.abs(y) <= LIMIT))
      throw new ArgumentError(`A polygon's coordinates must be finite and within ${LIMIT}; point ${i} is (${x}, ${y}).`);
    // Truncation, not floor: negative coordinates round the other way.
    xs[i] = Math.trunc(SCALE * x + 0.5);
    ys[i] = Math.trunc(SCALE * y + 0.5);
  }
  xs[points] = xs[0]!;
  ys[points] = ys[0]!;
  const crossings: number[] = [];
  for (let i = 0; i < points; i++) {
    const dx = Math.abs(xs[i + 1]! - xs[i]!);
    const dy = Math.abs(ys[i + 1]! - ys[i]!);
    const flip = dx >= dy ? xs[i]! > xs[i + 1]! : ys[i]! > ys[i + 1]!;
    const a = flip ? i + 1 : i;
    const b = flip ? i : i + 1;
    const add = dx >= dy ? crossFlatEdge : crossSteepEdge;
    add(crossings, xs[a]!, ys[a]!, xs[b]!, ys[b]!, height, width);
  }
  return { size: [height, width], counts: runsOfCrossings(crossings, height * width) };
}

/** The union of polygons of one object. */
export function polygonsToRle(polygons: readonly ArrayLike<number>[], height: number, width: number): Rle {
  if (polygons.length === 0) return polygonToRle([], height, width);
  return mergeRles(polygons.map((p) => polygonToRle(p, height, width)));
}

/** Rasterises an (x, y, width, height) box as the polygon of its corners. */
export function boxToRle(box: ArrayLike<number>, height: number, width: number): Rle {
  const x0 = box[0]!;
  const y0 = box[1]!;
  const x1 = x0 + box[2]!;
  const y1 = y0 + box[3]!;
  return polygonToRle([x0, y0, x0, y1, x1, y1, x1, y0], height, width);
}

const SCALE = 5;
const LIMIT = 4e8;

/** The row where column k's run changes, for the lower of the two outline points beside the step. */
function record(crossings: number[], k: number, v: number, height: number): void {
  const y = Math.ceil(Math.min(Math.max((v + 0.5) / SCALE - 0.5, 0), height));
  crossings.push(k * height + y);
}

/** Edges with |dx| >= |dy|, x ascending: one outline point per x. */
function crossFlatEdge(crossings: number[], xs: number, ys: number, xe: number, ye: number, height: number, width: number): void {
  const slope = (ye - ys) / (xe - xs);
  const first = Math.max(0, Math.ceil((xs - 2) / SCALE));
  const last = Math.min(width - 1, Math.floor((xe - 3) / SCALE));
  for (let k = first; k <= last; k++) {
    const t = k * SCALE + 2 - xs;
    const v0 = Math.trunc(ys + slope * t + 0.5);
    const v1 = Math.trunc(ys + slope * (t + 1) + 0.5);
    record(crossings, k, v0 < v1 ? v0 : v1, height);
  }
}

/** Edges with |dy| > |dx|, y ascending: one outline point per y; looks for the first point past the step. */
function crossSteepEdge(
  crossings: number[],
  xs: number,
  ys: number,
  xe: number,
  ye: number,
  height: number,
  width: number,
): void {
  const slope = (xe - xs) / (ye - ys);
  const first = Math.max(0, Math.ceil((Math.min(xs, xe) - 2) / SCALE));
  const last = Math.min(width - 1, Math.floor((Math.max(xs, xe) - 3) / SCALE));
  for (let k = first; k <= last; k++) {
    const step = k * SCALE + 3;
    const past =
      slope > 0
        ? (t: number) => Math.trunc(xs + slope * t + 0.5) >= step
        : (t: number) => Math.trunc(xs + slope * t + 0.5) < step;
    let t = Math.min(Math.max(Math.ceil((step - 0.5 - xs) / slope), 1), ye - ys);
    while (t > 1 && past(t - 1)) t--;
    while (t < ye - ys && !past(t)) t++;
    record(crossings, k, ys + t - 1, height);
  }
}

/** Sorted crossings to runs; two crossings in one place cancel and join their neighbours. */
function runsOfCrossings(crossings: number[], area: number): Uint32Array {
  const ends = new Uint32Array(crossings.length + 1);
  ends.set(crossings);
  ends[crossings.length] = area;
  ends.sort();
  for (let i = ends.length - 1; i > 0; i--) ends[i]! -= ends[i - 1]!;
  let n = 1;
  for (let i = 1; i < ends.length;) {
    if (ends[i]! > 0) ends[n++] = ends[i++]!;
    else {
      i++;
      if (i < ends.length) ends[n - 1]! += ends[i++]!;
    }
  }
  return ends.slice(0, n);
}
