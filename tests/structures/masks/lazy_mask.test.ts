import { describe, expect, it } from 'vitest';
import { decodeRle } from '../../../src/data/rle/rle.js';
import { ArgumentError } from '../../../src/errors.js';
import { InstanceMask } from '../../../src/structures/masks/lazy_mask.js';

// 3 x 3 cells over 3 x 3 pixels of a 5 x 6 image: a ring around one pixel.
const ring = () => new InstanceMask(Float32Array.of(1, 1, 1, 1, 0, 1, 1, 1, 1), [2, 1, 5, 4], 5, 6);
const rows = ['......', '..###.', '..#.#.', '..###.', '......'].join('');

describe('InstanceMask', () => {
  it('gives bitmap, run lengths and area of the same pixels', () => {
    const mask = ring();
    expect(mask.size).toBe(3);
    const bitmap = mask.toBitmap();
    expect([...bitmap].map((bit) => (bit ? '#' : '.')).join('')).toBe(rows);
    expect(mask.toRle()).toEqual({ size: [5, 6], counts: Uint32Array.of(11, 3, 2, 1, 1, 1, 2, 3, 6) });
    expect(decodeRle(mask.toRle())).toEqual(bitmap);
    expect(mask.area()).toBe(8);
  });

  it('gives the probability of each pixel, of 255', () => {
    // One cell of 0.5 over 2 x 2 pixels: their centres lie a quarter of a cell from its centre, and beyond it is nothing.
    const soft = new InstanceMask(Float32Array.of(0.5), [1, 1, 3, 3], 4, 4).toSoft();
    const edge = Math.floor(255 * 0.5 * 0.75 ** 2);
    expect([...soft]).toEqual([...[7, 23, 23, 7], ...[23, edge, edge, 23], ...[23, edge, edge, 23], ...[7, 23, 23, 7]]);
  });

  it('gives outlines in image pixels', () => {
    const [outer, hole] = ring().polygons();
    expect(outer).toEqual({ points: [2, 1, 5, 1, 5, 4, 2, 4], hole: false });
    expect(hole.hole).toBe(true);
    expect(new Set(hole.points)).toEqual(new Set([2, 3, 4]));
  });

  it('cuts the instance out of its picture', () => {
    const image = { data: Uint8Array.from({ length: 5 * 6 * 3 }, (_, i) => i), height: 5, width: 6 };
    const { data, height, width, x0, y0 } = ring().cutout(image);
    expect([height, width, x0, y0]).toEqual([5, 5, 1, 0]);
    const at = (x: number, y: number) => [...data.subarray(((y - y0) * width + x - x0) * 4, ((y - y0) * width + x - x0) * 4 + 4)];
    expect(at(2, 1)).toEqual([24, 25, 26, 255]);
    expect(at(3, 2)).toEqual([0, 0, 0, 0]);
    expect(at(1, 1)).toEqual([0, 0, 0, 0]);
    expect(() => ring().cutout({ ...image, height: 6 })).toThrow(
      'cutout: expected RGB samples of 5 x 6 x 3, got 90 samples for 6 x 6',
    );
  });

  it('outside the image there is nothing, and that is no error', () => {
    const mask = new InstanceMask(new Float32Array(4).fill(1), [20, 20, 30, 30], 5, 6);
    expect(mask.area()).toBe(0);
    expect(mask.polygons()).toEqual([]);
    expect(mask.toBitmap()).toEqual(new Uint8Array(30));
  });

  it('refuses what is no mask', () => {
    expect(() => new InstanceMask(new Float32Array(5), [0, 0, 1, 1], 4, 4)).toThrow('5 probabilities do not make a square mask');
    expect(() => new InstanceMask(new Float32Array(4), [0, 0, 1], 4, 4)).toThrow(ArgumentError);
  });
});
