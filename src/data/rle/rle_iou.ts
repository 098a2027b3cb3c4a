import type { Rle } from './rle.js';
import { rleArea, rleToBox } from './rle.js';

/** A mask made ready for many intersections: its foreground runs as [start, end) positions, its tight box and its area. */
export interface PreparedMask {
  size: readonly [height: number, width: number];
  /** start0, end0, start1, end1, ... of the column-major flattening. */
  bounds: Uint32Array;
  /** x, y, width, height. */
  box: readonly [number, number, number, number];
  area: number;
}

/** Computes once what every intersection with this mask needs. */
export function prepareMask(rle: Rle): PreparedMask {
  const { counts } = rle;
  const bounds = new Uint32Array(counts.length & ~1);
  let position = 0;
  for (let i = 0; i < bounds.length; i++) bounds[i] = position += counts[i]!;
  return { size: rle.size, bounds, box: rleToBox(rle), area: rleArea(rle) };
}

/**
 * IoU of every detection with every ground truth: `result[d * groundTruth.length + g]`, double precision, equal to pycocotools' `mask.iou`.
 * With a crowd the denominator is the detection's area. Masks of different sizes give -1 where their boxes overlap, else 0.
 *
 * @param crowd one flag per ground truth; absent: none is a crowd
 */
export function rleIou(detections: readonly Rle[], groundTruth: readonly Rle[], crowd?: ArrayLike<number>): Float64Array {
  return preparedIou(detections.map(prepareMask), groundTruth.map(prepareMask), crowd);
}

/** The same for prepared masks. */
export function preparedIou(
  detections: readonly PreparedMask[],
  groundTruth: readonly PreparedMask[],
  crowd?: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(detections.length * groundTruth.length);
  let k = 0;
  for (const d of detections)
    for (let g = 0; g < groundTruth.length; g++) out[k++] = pairIou(d, groundTruth[g]!, crowd !== undefined && crowd[g]! !== 0);
  return out;
}

function pairIou(d: PreparedMask, g: PreparedMask, crowd: boolean): number {
  const left = Math.max(d.box[0], g.box[0]);
  const right = Math.min(d.box[0] + d.box[2], g.box[0] + g.box[2]);
  if (right <= left || Math.min(d.box[1] + d.box[3], g.box[1] + g.box[3]) <= Math.max(d.box[1], g.box[1])) return 0;
  if (d.size[0] !== g.size[0] || d.size[1] !== g.size[1]) return -1;
  const intersection = commonPixels(
    d.bounds,
    0,
    d.bounds.length,
    g.bounds,
    0,
    g.bounds.length,
    left * d.size[0],
    right * d.size[0],
  );
  if (intersection === 0) return 0;
  return intersection / (crowd ? d.area : d.area + g.area - intersection);
}

/**
 * Common pixels of two lists of foreground runs (start, end pairs, ascending, in `a[fromA ... endA)` and `b[fromB ... endB)`); positions
 * outside of [from, to) are known to meet nothing and are skipped.
 */
export function commonPixels(
  a: Uint32Array,
  fromA: number,
  endA: number,
  b: Uint32Array,
  fromB: number,
  endB: number,
  from: number,
  to: number,
): number {
  let i = firstEndingAfter(a, fromA, endA, from);
  let j = firstEndingAfter(b, fromB, endB, from);
  if (i >= endA || j >= endB) return 0;
  let sum = 0;
  let startA = a[i]!;
  let stopA = a[i + 1]!;
  let startB = b[j]!;
  let stopB = b[j + 1]!;
  for (;;) {
    const low = startA > startB ? startA : startB;
    if (low >= to) return sum;
    if (stopA < stopB) {
      if (stopA > low) sum += stopA - low;
      i += 2;
      if (i >= endA) return sum;
      startA = a[i]!;
      stopA = a[i + 1]!;
    } else {
      if (stopB > low) sum += stopB - low;
      j += 2;
      if (j >= endB) return sum;
      startB = b[j]!;
      stopB = b[j + 1]!;
    }
  }
}

function firstEndingAfter(bounds: Uint32Array, from: number, end: number, position: number): number {
  let low = 0;
  let high = (end - from) >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bounds[from + middle * 2 + 1]! > position) high = middle;
    else low = middle + 1;
  }
  return from + low * 2;
}

/**
 * IoU of (x, y, width, height) boxes, `result[d * G + g]`, in pycocotools' order of operations (so equal to it to the last bit). With a crowd
 * the denominator is the detection's area.
 *
 * @param detections D * 4 numbers
 * @param groundTruth G * 4 numbers
 */
export function boxIou(detections: ArrayLike<number>, groundTruth: ArrayLike<number>, crowd?: ArrayLike<number>): Float64Array {
  const countD = detections.length >> 2;
  const countG = groundTruth.length >> 2;
  const out = new Float64Array(countD * countG);
  for (let d = 0; d < countD; d++) {
    const dx = detections[d * 4]!;
    const dy = detections[d * 4 + 1]!;
    const dw = detections[d * 4 + 2]!;
    const dh = detections[d * 4 + 3]!;
    for (let g = 0; g < countG; g++) {
      const gx = groundTruth[g * 4]!;
      const gy = groundTruth[g * 4 + 1]!;
      const gw = groundTruth[g * 4 + 2]!;
      const gh = groundTruth[g * 4 + 3]!;
      const w = Math.min(dw + dx, gw + gx) - Math.max(dx, gx);
      if (!(w > 0)) continue;
      const h = Math.min(dh + dy, gh + gy) - Math.max(dy, gy);
      if (!(h > 0)) continue;
      const intersection = w * h;
      out[d * countG + g] = intersection / (crowd !== undefined && crowd[g]! !== 0 ? dw * dh : dw * dh + gw * gh - intersection);
    }
  }
  return out;
}
