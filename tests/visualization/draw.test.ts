import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../src/errors.js';
import { classColor } from '../../src/visualization/colors.js';
import { drawInstances, type DrawnInstance } from '../../src/visualization/draw.js';
import { encodePng } from '../../src/visualization/png.js';

const ground = (height: number, width: number, value: number) => ({
  data: new Uint8Array(height * width * 3).fill(value),
  height,
  width,
});
const square: DrawnInstance = {
  box: [20, 30, 60, 70],
  score: 0.987,
  className: 'cat',
  classIndex: 0,
  bitmap: { x0: 20, y0: 30, x1: 60, y1: 70, bitmap: new Uint8Array(1600).fill(1) },
};

async function pixels(png: Uint8Array) {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  expect(info.channels).toBe(3);
  return { ...info, at: (x: number, y: number) => [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)] };
}

describe('drawInstances', () => {
  it('mixes the class colour into the mask, and leaves the rest alone', async () => {
    const image = ground(100, 120, 100);
    const { at, width, height } = await pixels(await drawInstances(image, [square], { maskOpacity: 0.5 }));
    expect([height, width]).toEqual([100, 120]);
    expect(at(40, 50)).toEqual(classColor(0).map((c) => Math.round(100 + (c - 100) * 0.5)));
    expect(at(90, 50)).toEqual([100, 100, 100]);
    expect(at(10, 90)).toEqual([100, 100, 100]);
    expect(image.data.every((v) => v === 100)).toBe(true);
  });

  it('draws polygons of either winding as the union that their bitmap is', async () => {
    const polygons = [
      [20, 30, 20, 70, 60, 70, 60, 30],
      [25, 35, 55, 35, 55, 65, 25, 65],
    ];
    const { at } = await pixels(
      await drawInstances(ground(100, 120, 0), [{ ...square, bitmap: undefined, polygons }], { maskOpacity: 0.5 }),
    );
    expect(at(40, 50)).toEqual(classColor(0).map((c) => Math.round(c * 0.5)));
    expect(at(23, 33)).not.toEqual([0, 0, 0]);
  });

  it('puts a solid chip in the class colour above the box', async () => {
    const { at } = await pixels(await drawInstances(ground(100, 120, 255), [square]));
    // Ten-pixel text, chip 14 high, its first 4 columns are padding.
    expect(at(22, 22)).toEqual([...classColor(0)]);
  });

  it('draws small objects over large ones, whatever the order', async () => {
    const big: DrawnInstance = {
      ...square,
      box: [0, 0, 120, 100],
      classIndex: 1,
      bitmap: { x0: 0, y0: 0, x1: 120, y1: 100, bitmap: new Uint8Array(12000).fill(1) },
    };
    const options = { maskOpacity: 1, showBoxes: false, showLabels: false };
    for (const order of [
      [big, square],
      [square, big],
    ]) {
      // prettier-ignore
      const { at } = await pixels(await drawInstances(ground(100, 120, 0), order, options));
      expect(at(40, 50)).toEqual([...classColor(0)]);
      expect(at(100, 90)).toEqual([...classColor(1)]);
    }
  });

  it('enlarges the picture by the scale', async () => {
    const { at, width, height } = await pixels(
      await drawInstances(ground(50, 60, 80), [{ ...square, box: [5, 5, 20, 20], bitmap: undefined }], { scale: 4 }),
    );
    expect([height, width]).toEqual([200, 240]);
    expect(at(200, 150)).toEqual([80, 80, 80]);
  });

  it('gives the same bytes twice, and the picture itself without instances', async () => {
    const image = ground(40, 50, 7);
    expect(await drawInstances(image, [square])).toEqual(await drawInstances(image, [square]));
    expect((await pixels(await drawInstances(image, []))).at(25, 20)).toEqual([7, 7, 7]);
  });

  it('names what cannot be drawn', async () => {
    await expect(drawInstances({ data: new Uint8Array(5), height: 2, width: 2 }, [])).rejects.toThrow(
      'an RGB picture of 2 x 2 has 12 values, got 5',
    );
    await expect(drawInstances(ground(9, 9, 0), [{ ...square, box: [0, NaN, 1, 1] }])).rejects.toThrow(
      'instance 0 (cat): the box must be four finite numbers',
    );
    await expect(
      drawInstances(ground(9, 9, 0), [{ ...square, bitmap: { x0: 0, y0: 0, x1: 2, y1: 2, bitmap: new Uint8Array(3) } }]),
    ).rejects.toThrow('must hold 4 pixels, got 3');
    await expect(drawInstances(ground(9, 9, 0), [{ ...square, polygons: [[1, 2, 3, 4]] }])).rejects.toThrow('polygon 0');
    await expect(drawInstances(ground(9, 9, 0), [], { scale: 0 })).rejects.toThrow(ArgumentError);
  });
});

describe('encodePng', () => {
  it('is read back to the same pixels', async () => {
    const rgb = Uint8Array.from({ length: 7 * 5 * 3 }, (_, i) => (i * 37) % 256);
    expect(
      new Uint8Array(
        await sharp(encodePng(rgb, 5, 7))
          .raw()
          .toBuffer(),
      ),
    ).toEqual(rgb);
  });
});
