import { describe, expect, it } from 'vitest';
import { traceContours } from '../../../src/structures/masks/contours.js';
import type { Contour } from '../../../src/structures/masks/contours.js';

/** Even-odd filling of polygons with integer corners: along each pixel row, every vertical side left of a pixel toggles it. */
function fill(contours: Contour[], height: number, width: number): Uint8Array {
  const out = new Uint8Array(height * width);
  for (const { points } of contours) {
    for (let i = 0; i < points.length; i += 2) {
      const x = points[i];
      const j = (i + 2) % points.length;
      if (points[j] !== x) continue;
      const [from, to] = [points[i + 1], points[j + 1]].sort((a, b) => a - b);
      for (let y = from; y < to; y++) for (let c = x; c < width; c++) out[y * width + c] ^= 1;
    }
  }
  return out;
}

const draw = (...rows: string[]) => Uint8Array.from(rows.join(''), (c) => (c === '#' ? 1 : 0));

describe('traceContours', () => {
  it('one pixel is a square, clockwise on the screen', () => {
    expect(traceContours(draw('...', '.#.'), 2, 3)).toEqual([{ points: [1, 1, 2, 1, 2, 2, 1, 2], hole: false }]);
    expect(traceContours(draw('#'), 1, 1, 10, 20)).toEqual([{ points: [10, 20, 11, 20, 11, 21, 10, 21], hole: false }]);
  });

  it('an empty mask has none; a full one has four corners', () => {
    expect(traceContours(new Uint8Array(12), 3, 4)).toEqual([]);
    expect(traceContours(new Uint8Array(0), 0, 0)).toEqual([]);
    expect(traceContours(new Uint8Array(12).fill(1), 3, 4)).toEqual([{ points: [0, 0, 4, 0, 4, 3, 0, 3], hole: false }]);
  });

  it('a ring has a hole, with corners only', () => {
    const contours = traceContours(draw('#####', '#...#', '#...#', '#####'), 4, 5);
    expect(contours.map((c) => c.hole)).toEqual([false, true]);
    expect(contours[0].points).toEqual([0, 0, 5, 0, 5, 4, 0, 4]);
    expect(contours[1].points.length).toBe(8);
    expect(new Set(contours[1].points)).toEqual(new Set([1, 4, 3]));
  });

  it('pixels that touch at a corner are apart', () => {
    const contours = traceContours(draw('#.', '.#'), 2, 2);
    expect(contours).toEqual([
      { points: [0, 0, 1, 0, 1, 1, 0, 1], hole: false },
      { points: [1, 1, 2, 1, 2, 2, 1, 2], hole: false },
    ]);
  });

  it('filled again, random masks come back, and no corner lies on a straight line', () => {
    let state = 3;
    for (let round = 0; round < 200; round++) {
      const [height, width] = [1 + (round % 13), 1 + (round % 17)];
      const density = 0.2 + 0.6 * ((round % 5) / 4);
      const bitmap = Uint8Array.from({ length: height * width }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32 < density ? 1 : 0;
      });
      const contours = traceContours(bitmap, height, width);
      expect(fill(contours, height, width)).toEqual(bitmap);
      for (const { points } of contours) {
        const n = points.length;
        for (let i = 0; i < n; i += 2) {
          const turnsAt = (points[i] - points[(i + n - 2) % n]) * (points[(i + 2) % n] - points[i]);
          const turnsAtY = (points[i + 1] - points[(i + n - 1) % n]) * (points[(i + 3) % n] - points[i + 1]);
          expect([turnsAt, turnsAtY].map(Math.abs)).toEqual([0, 0]);
        }
      }
    }
  });
});
