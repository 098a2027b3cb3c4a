import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/data/random.js';
import {
  resizeBilinear,
  resizeNearest,
  resizeNearestLabels,
  resizeShortestEdgeShape,
  type PixelArray,
} from '../../../src/data/resize/resize.js';
import { ArgumentError } from '../../../src/errors.js';
import { goldenFolder } from '../../golden_folder.js';
import { SafetensorsFile } from '../../golden/safetensors_file.js';

const gray = (width: number, ...data: number[]) => ({
  data: Uint8Array.from(data),
  height: data.length / width,
  width,
  channels: 1,
});

describe('resizeBilinear', () => {
  it('enlarges with pixel centres: weights 3/4 and 1/4', () => {
    expect([...resizeBilinear(gray(2, 0, 100), 1, 4)]).toEqual([0, 25, 75, 100]);
    expect([...resizeBilinear(gray(1, 0, 100), 4, 1)]).toEqual([0, 25, 75, 100]);
  });

  it('shrinks with a widened triangle', () => {
    // Half the size: support 2, weights 1/8 3/8 3/8 1/8 inside; 3/7 3/7 1/7 at the border.
    expect([...resizeBilinear(gray(6, 0, 0, 80, 160, 0, 0), 1, 3)]).toEqual([Math.round(80 / 7), 90, Math.round(160 / 7)]);
  });

  it('rounds to 8 bits between the two passes', () => {
    // Along x the second row becomes 0, 0.5 -> 1, 1.5 -> 2, 2; a quarter of it is 0, 0, 1, 1. Without rounding between, 0.375 would give 0.
    expect([...resizeBilinear(gray(2, 0, 0, 0, 2), 4, 4)]).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 2, 2, 0, 1, 2, 2]);
  });

  it('keeps channels apart, and copies when nothing changes', () => {
    const image = { data: Uint8Array.from([0, 10, 20, 100, 110, 120]), height: 1, width: 2, channels: 3 };
    expect([...resizeBilinear(image, 1, 4)]).toEqual([0, 10, 20, 25, 35, 45, 75, 85, 95, 100, 110, 120]);
    const copy = resizeBilinear(image, 1, 2);
    expect(copy).toEqual(image.data);
    expect(copy).not.toBe(image.data);
    const white = { data: new Uint8Array(97 * 53 * 3).fill(255), height: 97, width: 53, channels: 3 };
    expect(resizeBilinear(white, 31, 71).every((v) => v === 255)).toBe(true);
  });

  it('refuses sizes and data that do not fit', () => {
    expect(() => resizeBilinear(gray(2, 0, 1), 0, 4)).toThrow('the new size must be positive integers, not 0 x 4');
    expect(() => resizeBilinear({ ...gray(2, 0, 1), width: 3 }, 4, 4)).toThrow(ArgumentError);
  });
});

describe('nearest neighbour', () => {
  it('takes floor((i + 0.5) * scale) on 8-bit maps and floor(i * scale) on others', () => {
    expect([...resizeNearest(gray(5, 0, 1, 2, 3, 4), 1, 2)]).toEqual([1, 3]);
    const labels = { data: Int32Array.from([0, 1, 2, 3, 4]), height: 1, width: 5 };
    expect([...resizeNearestLabels(labels, 1, 2)]).toEqual([0, 2]);
    expect(resizeNearestLabels(labels, 2, 2)).toBeInstanceOf(Int32Array);
  });
});

describe('resizeShortestEdgeShape', () => {
  it.each([
    [480, 640, 800, 1333, 800, 1067],
    [300, 1000, 800, 1333, 400, 1333],
    [1000, 300, 800, 1333, 1333, 400],
    [427, 640, 800, 1333, 800, 1199],
    [100, 100, 800, 1333, 800, 800],
  ])('%i x %i, short %i, at most %i -> %i x %i', (h, w, short, max, newHeight, newWidth) => {
    expect(resizeShortestEdgeShape(h, w, short, max)).toEqual([newHeight, newWidth]);
  });
});

const golden = goldenFolder();
describe.skipIf(!golden)('golden files (skipped where the golden folder is absent)', () => {
  const folder = join(golden ?? '', 'data', 'resize');

  it('gives the same bytes for every image and label map', () => {
    const { cases } = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as {
      cases: { name: string; input: string; kind: string; new_h: number; new_w: number; sha256: string }[];
    };
    const tensors = new SafetensorsFile(join(folder, 'resize.safetensors'));
    let compared = 0;
    for (const { name, input, kind, new_h, new_w, sha256 } of cases) {
      const { data, shape } = tensors.get(input);
      const [height, width, channels = 1] = shape;
      let out: ArrayBufferView;
      if (data instanceof Uint8Array) {
        out = (kind === 'image' ? resizeBilinear : resizeNearest)({ data, height, width, channels }, new_h, new_w);
      } else if (kind === 'segmentation' && data instanceof Float64Array) {
        out = resizeNearestLabels({ data, height, width }, new_h, new_w);
      } else continue;
      const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
      expect(createHash('sha256').update(bytes).digest('hex'), name).toBe(sha256);
      compared++;
    }
    expect(compared).toBe(70);
  });

  it('computes every output shape', () => {
    const { rows } = JSON.parse(readFileSync(join(folder, 'output_shapes.json'), 'utf8')) as { rows: number[][] };
    for (const [h, w, short, max, newHeight, newWidth] of rows) {
      expect(resizeShortestEdgeShape(h, w, short, max)).toEqual([newHeight, newWidth]);
    }
  });
});

describe('large pictures in colour, which go through the SIMD kernels', () => {
  const random = new Random(3);
  const noise = (height: number, width: number): PixelArray => ({
    data: Uint8Array.from({ length: height * width * 3 }, () => random.integer(256)),
    height,
    width,
    channels: 3,
  });

  it.each([
    [61, 97, 160, 211],
    [200, 131, 61, 43],
    [90, 80, 90, 171],
    [90, 80, 31, 80],
    [403, 5, 407, 97],
    [5, 1201, 33, 400],
  ])('%i x %i to %i x %i is the same as channel by channel', (height, width, newHeight, newWidth) => {
    const image = noise(height, width);
    const out = resizeBilinear(image, newHeight, newWidth);
    for (let c = 0; c < 3; c++) {
      const channel = { data: image.data.filter((_, i) => i % 3 === c), height, width, channels: 1 };
      expect(out.filter((_, i) => i % 3 === c)).toEqual(resizeBilinear(channel, newHeight, newWidth));
    }
  });
});
