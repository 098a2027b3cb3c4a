import { ArgumentError } from '../../errors.js';
import type { Rle } from './rle.js';

/**
 * The union (or intersection) of masks of one size. One mask comes back as it is, runs of length 0 included, as pycocotools does; no mask
 * gives a mask of size 0 x 0.
 *
 * @throws ArgumentError when the sizes differ
 */
export function mergeRles(rles: readonly Rle[], operation: 'union' | 'intersection' = 'union'): Rle {
  if (rles.length === 0) return { size: [0, 0], counts: new Uint32Array(0) };
  const [height, width] = rles[0]!.size;
  let counts: Uint32Array = rles[0]!.counts.slice();
  for (let i = 1; i < rles.length; i++) {
    const { size } = rles[i]!;
    if (size[0] !== height || size[1] !== width)
      throw new ArgumentError(`Masks of different sizes cannot be merged: ${height} x ${width} and ${size[0]} x ${size[1]}.`);
    counts = mergeRuns(counts, rles[i]!.counts, operation === 'intersection');
  }
  return { size: [height, width], counts };
}

function mergeRuns(a: Uint32Array, b: Uint32Array, intersect: boolean): Uint32Array {
  const out = new Uint32Array(a.length + b.length + 1);
  let n = 0;
  let leftA = a[0] ?? 0;
  let leftB = b[0] ?? 0;
  let i = 1;
  let j = 1;
  let inA = false;
  let inB = false;
  let inside = false;
  let run = 0;
  for (let left = 1; left > 0;) {
    const step = Math.min(leftA, leftB);
    run += step;
    leftA -= step;
    leftB -= step;
    if (leftA === 0 && i < a.length) {
      leftA = a[i++]!;
      inA = !inA;
    }
    if (leftB === 0 && j < b.length) {
      leftB = b[j++]!;
      inB = !inB;
    }
    left = leftA + leftB;
    const now = intersect ? inA && inB : inA || inB;
    if (now !== inside || left === 0) {
      out[n++] = run;
      run = 0;
    }
    inside = now;
  }
  return out.slice(0, n);
}
