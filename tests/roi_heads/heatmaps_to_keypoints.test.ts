import { describe, expect, it } from 'vitest';
import { heatmapsToKeypoints } from '../../src/roi_heads/heatmaps_to_keypoints.js';
import fc from '../properties.js';

/** The cubic of the whole map, without short cuts. */
function enlargedAt(map: readonly number[], size: number, height: number, width: number, y: number, x: number): number {
  const weight = (d: number): number => {
    const t = Math.abs(d);
    if (t <= 1) return 1.25 * t ** 3 - 2.25 * t ** 2 + 1;
    return t < 2 ? -0.75 * (t ** 3 - 5 * t ** 2 + 8 * t - 4) : 0;
  };
  const [sy, sx] = [Math.fround(size / height) * (y + 0.5) - 0.5, Math.fround(size / width) * (x + 0.5) - 0.5];
  const clamp = (i: number): number => Math.min(Math.max(i, 0), size - 1);
  let sum = 0;
  for (let i = Math.floor(sy) - 1; i <= Math.floor(sy) + 2; i++)
    for (let j = Math.floor(sx) - 1; j <= Math.floor(sx) + 2; j++)
      sum += weight(sy - i) * weight(sx - j) * map[clamp(i) * size + clamp(j)]!;
  return sum;
}

describe('heatmapsToKeypoints', () => {
  it('takes the highest pixel, in its middle, with the softmax of the heatmap as score', () => {
    // A box of 4 x 4 pixels: nothing is enlarged.
    const heatmap = new Float32Array(16);
    heatmap[6] = Math.log(15);
    const [x, y, logit, score] = heatmapsToKeypoints(heatmap, Float32Array.of(10, 20, 14, 24), 1, 4);
    expect([x, y]).toEqual([12.5, 21.5]);
    expect(logit).toBeCloseTo(Math.log(15), 6);
    // 15 / (15 + 15 times 1)
    expect(score).toBeCloseTo(0.5, 6);
  });

  it('spreads whole pixels over a box of broken size, which is at least one pixel', () => {
    const heatmap = Float32Array.of(0, 0, 0, 9);
    const wide = heatmapsToKeypoints(heatmap, Float32Array.of(0, 0, 1.5, 0.25), 1, 2);
    // Two columns of 0.75 and one row of 1.
    expect(wide[0]).toBeCloseTo(1.125, 6);
    expect(wide[1]).toBeCloseTo(0.5, 6);
  });

  it('keeps objects and keypoints apart: heatmaps are [D, size, size, P]', () => {
    const heatmaps = new Float32Array(2 * 4 * 2);
    heatmaps[0 * 8 + 1 * 2 + 0] = 5; // object 0, pixel (1, 0), keypoint 0
    heatmaps[0 * 8 + 2 * 2 + 1] = 5; // object 0, pixel (0, 1), keypoint 1
    heatmaps[1 * 8 + 0 * 2 + 0] = 5;
    heatmaps[1 * 8 + 3 * 2 + 1] = 5;
    const places = heatmapsToKeypoints(heatmaps, Float32Array.of(0, 0, 2, 2, 10, 10, 12, 12), 2, 2);
    const xy = [0, 1, 2, 3].map((i) => [...places.subarray(i * 4, i * 4 + 2)]);
    expect(xy).toEqual([
      [1.5, 0.5],
      [0.5, 1.5],
      [10.5, 10.5],
      [11.5, 11.5],
    ]);
  });

  it('finds what a search over the whole enlarged map finds', () => {
    const map = fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 36, maxLength: 36 });
    const side = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(map, side, side, (values, height, width) => {
        const heatmap = values.map(Math.fround);
        const [x, y, logit] = heatmapsToKeypoints(Float32Array.from(heatmap), Float32Array.of(0, 0, width, height), 1, 6);
        const found = enlargedAt(heatmap, 6, height, width, Math.floor(y!), Math.floor(x!));
        expect(found).toBeCloseTo(logit!, 4);
        for (let v = 0; v < height; v++)
          for (let u = 0; u < width; u++) expect(enlargedAt(heatmap, 6, height, width, v, u)).toBeLessThan(logit! + 1e-4);
      }),
      { numRuns: 50 },
    );
  });
});
