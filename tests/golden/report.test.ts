import { describe, expect, it } from 'vitest';
import { bitmapIou, compareMask, compareNumbers, compareValues } from './compare.js';
import { formatLine, Report } from './report.js';

const where = { case: 'c', name: 'n' };

describe('compareNumbers', () => {
  it('gives the largest absolute and relative error', () => {
    const line = compareNumbers(where, [1.5, 100], [1, 101], { abs: 1 });
    expect(line).toMatchObject({ maxAbs: 1, maxRel: 0.5, ok: true });
  });
  it('fails one value beyond the tolerance and says which', () => {
    const line = compareNumbers(where, [1, 2.2], [1, 2], { abs: 0.1 });
    expect(line.ok).toBe(false);
    expect(line.note).toContain('first at 1: 2.2, expected 2');
  });
  it('adds the relative part', () => {
    expect(compareNumbers(where, [1001], [1000], { abs: 0, rel: 1e-3 }).ok).toBe(true);
    expect(compareNumbers(where, [1002], [1000], { abs: 0, rel: 1e-3 }).ok).toBe(false);
  });
  it('never lets NaN pass for a number, nor a number for NaN', () => {
    expect(compareNumbers(where, [NaN], [1], { abs: 9 }).ok).toBe(false);
    expect(compareNumbers(where, [1], [NaN], { abs: 9 }).ok).toBe(false);
    expect(compareNumbers(where, [Infinity], [-Infinity], { abs: 9 }).ok).toBe(false);
    expect(compareNumbers(where, [NaN, Infinity], [NaN, Infinity], { abs: 0 }).ok).toBe(true);
  });
  it('fails other lengths and shapes', () => {
    expect(compareNumbers(where, [1], [1, 2], { abs: 9 }).ok).toBe(false);
    expect(compareNumbers(where, [1, 2], [1, 2], { abs: 9 }, { actual: [2, 1], expected: [1, 2] }).ok).toBe(false);
  });
  it('bounds the mean', () => {
    expect(compareNumbers(where, [2, 0], [0, 0], { abs: 3, mean: 0.5 }).ok).toBe(false);
    expect(compareNumbers(where, [2, 0], [0, 0], { abs: 3, mean: 1 }).ok).toBe(true);
  });
});

describe('compareMask', () => {
  it('takes IoU of at least 0.995 or two pixels', () => {
    const full = new Uint8Array(1000).fill(1);
    const some = full.slice().fill(0, 0, 5);
    expect(bitmapIou(some, full)).toBe(0.995);
    expect(compareMask(where, some, full).ok).toBe(true);
    expect(compareMask(where, full.slice().fill(0, 0, 6), full).ok).toBe(false);
    expect(compareMask(where, [1, 0, 0, 0], [1, 1, 1, 0]).ok).toBe(true);
    expect(compareMask(where, [0, 0, 0, 0], [1, 1, 1, 0]).ok).toBe(false);
  });
});

describe('compareValues', () => {
  it('walks JSON, reading the strings NaN and Infinity as numbers', () => {
    expect(compareValues(where, { a: [1, NaN], b: 'x' }, { a: [1.05, 'NaN'], b: 'x' }, { abs: 0.1 }).ok).toBe(true);
    expect(compareValues(where, { a: 1 }, { a: 1, b: 2 }, { abs: 0.1 }).ok).toBe(false);
    expect(compareValues(where, 'x', 'y', { abs: 0.1 }).ok).toBe(false);
  });
});

describe('Report', () => {
  it('counts, formats and gives exit code 1 on a failure only', () => {
    let text = '';
    const report = new Report(false, (t) => (text += t));
    report.add(compareNumbers(where, [1], [1], { abs: 0 }));
    report.add({ ...where, note: 'no such kernel' });
    expect(report.finish()).toBe(0);
    report.add(compareNumbers(where, [1], [2], { abs: 0 }));
    expect(report.finish()).toBe(1);
    expect(text).toContain('c  n  unsupported: no such kernel');
    expect(text).toContain('tol exact  FAIL');
    expect(text.trim().split('\n').at(-1)).toBe('1 passed, 1 failed, 1 unsupported');
    expect(formatLine({ ...where, ok: true, maxAbs: 1e-5, maxRel: 0, tolerance: 'abs 0.1' })).toBe(
      'c  n  abs 1.00e-5  rel 0  tol abs 0.1  ok',
    );
  });
});
