import type { GoldenTensor } from './golden_tensors.js';

/** How far a value may be off: `abs` everywhere, plus `rel` of the expected magnitude. */
export interface Tolerance {
  abs: number;
  rel?: number;
  /** Bound on the mean of the absolute differences, for lossy decoders. */
  mean?: number;
}

export type Numbers = ArrayLike<number>;

/** One printed line. `ok` is undefined for `unsupported`. */
export interface Line {
  case: string;
  name: string;
  maxAbs?: number;
  maxRel?: number;
  tolerance?: string;
  ok?: boolean;
  note?: string;
}

const describeTolerance = (t: Tolerance): string =>
  [
    t.abs === 0 && !t.rel ? 'exact' : Number.isFinite(t.abs) ? `abs ${t.abs}` : '',
    t.rel ? `rel ${t.rel}` : '',
    t.mean === undefined ? '' : `mean ${t.mean}`,
  ]
    .filter(Boolean)
    .join(' + ');

/**
 * Compares values element by element. NaN equals NaN and infinities equal themselves; anything else non-finite fails.
 * `shape` (ours) must equal the expected one where given.
 */
export function compareNumbers(
  where: { case: string; name: string },
  actual: Numbers,
  expected: Numbers,
  tolerance: Tolerance,
  shapes?: { actual: readonly number[]; expected: readonly number[] },
): Line {
  const line = { ...where, tolerance: describeTolerance(tolerance) };
  if (shapes && shapes.actual.join() !== shapes.expected.join()) {
    return { ...line, ok: false, note: `shape [${shapes.actual}], expected [${shapes.expected}]` };
  }
  if (actual.length !== expected.length)
    return { ...line, ok: false, note: `${actual.length} values, expected ${expected.length}` };
  let maxAbs = 0;
  let maxRel = 0;
  let sum = 0;
  let bad = 0;
  let firstBad = -1;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!;
    const e = expected[i]!;
    if (Object.is(a, e) || a === e) continue;
    const difference = Math.abs(a - e);
    // A NaN difference (NaN against a number, infinities of opposite sign) must fail, so the test below is the negated one.
    if (!(difference <= tolerance.abs + (tolerance.rel ?? 0) * Math.abs(e))) {
      bad++;
      if (firstBad < 0) firstBad = i;
    }
    const absolute = Number.isNaN(difference) ? Infinity : difference;
    sum += absolute;
    if (absolute > maxAbs) maxAbs = absolute;
    const relative = absolute / Math.max(Math.abs(e), 1e-12);
    if (relative > maxRel) maxRel = relative;
  }
  const meanBad = tolerance.mean !== undefined && sum / Math.max(1, expected.length) > tolerance.mean;
  const notes = [
    bad
      ? `${bad} of ${expected.length} values off, first at ${firstBad}: ${actual[firstBad]}, expected ${expected[firstBad]}`
      : '',
    meanBad ? `mean ${(sum / expected.length).toPrecision(4)}` : '',
  ].filter(Boolean);
  return { ...line, maxAbs, maxRel, ok: bad === 0 && !meanBad, ...(notes.length ? { note: notes.join('; ') } : {}) };
}

/** Compares a tensor of ours with a golden one. */
export function compareTensor(
  where: { case: string; name: string },
  actual: { shape: readonly number[]; data: Numbers },
  expected: GoldenTensor,
  tolerance: Tolerance,
): Line {
  return compareNumbers(where, actual.data, expected.data, tolerance, { actual: actual.shape, expected: expected.shape });
}

/** Intersection over union of two bitmaps (any non-zero value counts as set); two empty ones give 1. */
export function bitmapIou(a: Numbers, b: Numbers): number {
  let both = 0;
  let either = 0;
  for (let i = 0; i < b.length; i++) {
    const x = a[i] ? 1 : 0;
    const y = b[i] ? 1 : 0;
    both += x & y;
    either += x | y;
  }
  return either === 0 ? 1 : both / either;
}

/** Masks agree when the IoU is at least 0.995, or when only `boundaryPixels` pixels differ (small masks: one pixel is more than 0.5 %). */
export function compareMask(where: { case: string; name: string }, actual: Numbers, expected: Numbers, boundaryPixels = 2): Line {
  const tolerance = `IoU 0.995 or ${boundaryPixels} px`;
  if (actual.length !== expected.length)
    return { ...where, tolerance, ok: false, note: `${actual.length} pixels, expected ${expected.length}` };
  let different = 0;
  for (let i = 0; i < expected.length; i++) if (!actual[i] !== !expected[i]) different++;
  const iou = bitmapIou(actual, expected);
  const ok = iou >= 0.995 || different <= boundaryPixels;
  return {
    ...where,
    maxAbs: different,
    maxRel: 1 - iou,
    tolerance,
    ok,
    note: `IoU ${iou.toFixed(5)}, ${different} pixels differ`,
  };
}

/** Compares plain values (JSON): numbers with the tolerance, everything else exactly; `"NaN"` and `"Infinity"` strings are numbers. */
export function compareValues(
  where: { case: string; name: string },
  actual: unknown,
  expected: unknown,
  tolerance: Tolerance,
): Line {
  const ours: number[] = [];
  const theirs: number[] = [];
  const difference = collect(actual, expected, '', ours, theirs);
  if (difference) return { ...where, tolerance: describeTolerance(tolerance), ok: false, note: difference };
  return compareNumbers(where, ours, theirs, tolerance);
}

const asNumber = (v: unknown): number | undefined =>
  typeof v === 'number' ? v : v === 'NaN' ? NaN : v === 'Infinity' ? Infinity : v === '-Infinity' ? -Infinity : undefined;

function collect(a: unknown, e: unknown, path: string, ours: number[], theirs: number[]): string | undefined {
  const expectedNumber = asNumber(e);
  if (expectedNumber !== undefined) {
    const actualNumber = asNumber(a);
    if (actualNumber === undefined) return `${path || 'value'}: ${JSON.stringify(a)}, expected ${e}`;
    ours.push(actualNumber);
    theirs.push(expectedNumber);
    return undefined;
  }
  if (e !== null && typeof e === 'object') {
    if (a === null || typeof a !== 'object')
      return `${path || 'value'}: ${JSON.stringify(a)}, expected ${JSON.stringify(e).slice(0, 80)}`;
    const keysA = Object.keys(a).sort();
    const keysE = Object.keys(e).sort();
    if (keysA.join() !== keysE.join())
      return `${path || 'value'}: keys ${keysA.join().slice(0, 120)}, expected ${keysE.join().slice(0, 120)}`;
    for (const key of keysE) {
      const difference = collect(
        (a as Record<string, unknown>)[key],
        (e as Record<string, unknown>)[key],
        `${path}.${key}`,
        ours,
        theirs,
      );
      if (difference) return difference;
    }
    return undefined;
  }
  return a === e ? undefined : `${path || 'value'}: ${JSON.stringify(a)}, expected ${JSON.stringify(e)}`;
}

export const unsupported = (caseName: string, name: string, reason: string): Line => ({ case: caseName, name, note: reason });
