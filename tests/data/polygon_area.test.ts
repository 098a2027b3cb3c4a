import { describe, expect, it } from 'vitest';
import { polygonArea } from '../../src/data/polygon_area.js';

describe('polygonArea', () => {
  it('is the area of simple shapes, whichever way round', () => {
    expect(polygonArea([0, 0, 4, 0, 4, 3])).toBe(6);
    expect(polygonArea([4, 3, 4, 0, 0, 0])).toBe(6);
    expect(polygonArea(Float64Array.of(1, 1, 11, 1, 11, 3, 1, 3))).toBe(20);
    expect(polygonArea([])).toBe(0);
  });

  it('counts the loops of a figure of eight against each other', () => {
    expect(polygonArea([0, 0, 2, 2, 2, 0, 0, 2])).toBe(0);
  });

  it("equals Detectron2's polygon_area to the last digit", () => {
    // 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))); summing from left to right gives ...349992.
    const polygon = [
      89.25, 67.63, 82.11, 75.74, 80.14, 75.69, 57.86, 84.38, 43.9, 75.13, 31.47, 52.76, 44.92, 38.02, 48.25, 31.51, 86.78, 43.27,
      87.0, 46.77,
    ];
    expect(polygonArea(polygon)).toBe(2046.8813499999997);
  });
});
