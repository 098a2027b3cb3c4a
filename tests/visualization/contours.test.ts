import { describe, expect, it } from 'vitest';
import { maskContours, polygonsArea } from '../../src/visualization/contours.js';

const crop = (rows: string[], x0 = 0, y0 = 0) => ({
  x0,
  y0,
  x1: x0 + rows[0].length,
  y1: y0 + rows.length,
  bitmap: Uint8Array.from(rows.join(''), (c) => Number(c === '#')),
});

describe('maskContours', () => {
  it('gives a lone pixel the diamond of its edges', () => {
    expect(maskContours(crop(['#'], 10, 20)).map((p) => [...p])).toEqual([[10.5, 20, 11, 20.5, 10.5, 21, 10, 20.5]]);
  });

  it('keeps diagonal neighbours apart', () => {
    expect(maskContours(crop(['#.', '.#']))).toHaveLength(2);
  });

  it('winds holes the other way, so that areas subtract', () => {
    const rows = Array.from({ length: 40 }, (_, y) =>
      Array.from({ length: 40 }, (_, x) => (Math.hypot(x - 19.5, y - 19.5) >= 8 ? '#' : '.')).join(''),
    );
    const contours = maskContours(crop(rows));
    expect(contours).toHaveLength(2);
    const pixels = rows.join('').split('#').length - 1;
    expect(Math.abs(polygonsArea(contours) - pixels)).toBeLessThan(0.01 * pixels);
  });

  it('rounds the stairs of a disc to within a pixel of the circle', () => {
    const rows = Array.from({ length: 60 }, (_, y) =>
      Array.from({ length: 60 }, (_, x) => (Math.hypot(x - 29.5, y - 29.5) < 25 ? '#' : '.')).join(''),
    );
    const [contour] = maskContours(crop(rows));
    for (let i = 0; i < contour.length; i += 2)
      expect(Math.abs(Math.hypot(contour[i] - 30, contour[i + 1] - 30) - 25)).toBeLessThan(0.7);
  });

  it('finds nothing in an empty mask', () => {
    expect(maskContours(crop(['...', '...']))).toEqual([]);
    expect(maskContours({ x0: 5, y0: 5, x1: 5, y1: 5, bitmap: new Uint8Array(0) })).toEqual([]);
  });
});
