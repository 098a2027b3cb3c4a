import { describe, expect, it } from 'vitest';
import { fillPolygons, strokePolygons } from '../../src/visualization/raster.js';

const black = (width: number, height: number) => ({ data: new Uint8Array(width * height * 3), height, width });
const red = (canvas: { data: Uint8Array; width: number }, y = 0) =>
  Array.from({ length: canvas.width }, (_, x) => canvas.data[(y * canvas.width + x) * 3]);

describe('fillPolygons', () => {
  it('covers pixels by their exact area', () => {
    const canvas = black(4, 1);
    fillPolygons(canvas, [[0.5, 0, 3.25, 0, 3.25, 1, 0.5, 1]], [200, 0, 0]);
    expect(red(canvas)).toEqual([100, 200, 200, 50]);
  });

  it('covers a slope that crosses several pixels of a row', () => {
    const canvas = black(4, 1);
    // A triangle under the line from (0, 1) to (4, 0): mean coverage 1/8, 3/8, 5/8, 7/8.
    fillPolygons(canvas, [[0, 1, 4, 0, 4, 1]], [240, 0, 0]);
    expect(red(canvas)).toEqual([30, 90, 150, 210]);
  });

  it('unites what winds one way and cuts what winds the other', () => {
    const canvas = black(4, 1);
    fillPolygons(canvas, [[0, 0, 4, 0, 4, 1, 0, 1], [0, 0, 2, 0, 2, 1, 0, 1], [3, 0, 3, 1, 4, 1, 4, 0]], [100, 0, 0]); // prettier-ignore
    expect(red(canvas)).toEqual([100, 100, 100, 0]);
  });

  it('cuts off what lies outside, however far', () => {
    const canvas = black(3, 2);
    fillPolygons(canvas, [[-1e6, -1e6, 1e6, -1e6, 1e6, 1e6, -1e6, 1e6]], [9, 9, 9], 1);
    expect([...canvas.data]).toEqual(new Array(18).fill(9));
    fillPolygons(canvas, [[50, 50, 60, 50, 60, 60]], [200, 0, 0]);
    expect([...canvas.data]).toEqual(new Array(18).fill(9));
  });

  it('mixes by opacity', () => {
    const canvas = { data: new Uint8Array([200, 100, 0]), height: 1, width: 1 };
    fillPolygons(canvas, [[0, 0, 1, 0, 1, 1, 0, 1]], [0, 200, 100], 0.25);
    expect([...canvas.data]).toEqual([150, 125, 25]);
  });
});

describe('strokePolygons', () => {
  it('draws a line on whole pixels without blur', () => {
    const canvas = black(5, 5);
    strokePolygons(canvas, [[-9, 2.5, 9, 2.5]], 1, [250, 0, 0], 1, false);
    expect([0, 1, 2, 3, 4].map((y) => red(canvas, y)[2])).toEqual([0, 0, 250, 0, 0]);
  });

  it('does not darken where strokes cross', () => {
    const canvas = black(5, 5);
    strokePolygons(canvas, [[-9, 2.5, 9, 2.5], [2.5, -9, 2.5, 9]], 1, [200, 0, 0], 0.5, false); // prettier-ignore
    expect(red(canvas, 2)).toEqual([100, 100, 100, 100, 100]);
  });

  it('draws slanted lines as wide as straight ones', () => {
    const canvas = black(60, 60);
    strokePolygons(canvas, [[10, 10, 50, 40]], 3, [255, 0, 0], 1, false);
    const ink = canvas.data.reduce((sum, v) => sum + v, 0) / 255;
    expect(ink).toBeGreaterThan(150); // 50 long, 3 wide, and two round ends of 7 together
    expect(ink).toBeLessThan(165);
  });
});
