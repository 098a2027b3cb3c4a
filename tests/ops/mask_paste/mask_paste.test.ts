import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeRle, encodeRle, rleArea } from '../../../src/data/rle/rle.js';
import { ArgumentError } from '../../../src/errors.js';
import { pasteMask, pasteMaskToRle, pastedMaskArea } from '../../../src/ops/mask_paste/mask_paste.js';
import { goldenFolder } from '../../golden_folder.js';
import { SafetensorsFile } from '../../golden/safetensors_file.js';

/** The definition, pixel by pixel, in double precision: the values that are compared with the threshold. */
function sampleDirectly(mask: Float32Array, size: number, box: number[], height: number, width: number): Float64Array {
  const at = (x: number, y: number) => (x < 0 || y < 0 || x >= size || y >= size ? 0 : mask[y * size + x]);
  const out = new Float64Array(height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const u = ((x + 0.5 - box[0]) / (box[2] - box[0])) * size - 0.5;
      const v = ((y + 0.5 - box[1]) / (box[3] - box[1])) * size - 0.5;
      const i = Math.floor(u);
      const j = Math.floor(v);
      const top = at(i, j) * (1 - u + i) + at(i + 1, j) * (u - i);
      const bottom = at(i, j + 1) * (1 - u + i) + at(i + 1, j + 1) * (u - i);
      out[y * width + x] = top * (1 - v + j) + bottom * (v - j);
    }
  }
  return out;
}

function fullBitmap({ x0, y0, x1, y1, bitmap }: ReturnType<typeof pasteMask>, height: number, width: number): Uint8Array {
  const out = new Uint8Array(height * width);
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) out[y * width + x] = bitmap[(y - y0) * (x1 - x0) + x - x0];
  }
  return out;
}

/** A reproducible sequence in [0, 1). */
function sequence(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

describe('pasteMask', () => {
  it('copies a mask whose cells are pixels', () => {
    const crop = pasteMask(Float32Array.from([1, 0, 0.5, 0.4]), 2, [1, 2, 3, 4], 5, 6);
    expect([crop.x0, crop.y0, crop.x1, crop.y1]).toEqual([0, 1, 4, 5]);
    expect([...crop.bitmap]).toEqual([0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  });

  it('fades to zero beyond the mask: a full mask loses what is sampled half outside', () => {
    // One cell over 4 pixels: samples at -0.375, -0.125, 0.125, 0.375 give 0.625, 0.875, 0.875, 0.625 along one axis.
    const { bitmap } = pasteMask(Float32Array.from([1]), 1, [0, 0, 4, 4], 4, 4);
    expect([...bitmap]).toEqual([0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0]);
    expect([...pasteMask(Float32Array.from([1]), 1, [0, 0, 4, 4], 4, 4, 0.3).bitmap]).toEqual(new Array(16).fill(1));
  });

  it('equals the definition for random masks and boxes, in and over the image', () => {
    const random = sequence(7);
    for (let round = 0; round < 300; round++) {
      const size = [1, 3, 7, 14, 28][round % 5];
      const mask = Float32Array.from({ length: size * size }, random);
      const [height, width] = [1 + Math.floor(random() * 60), 1 + Math.floor(random() * 60)];
      const [x0, y0] = [random() * 90 - 30, random() * 90 - 30].map(Math.fround);
      const box = [x0, y0, x0 + 0.1 + random() * 70, y0 + 0.1 + random() * 70].map(Math.fround);
      const threshold = [0.5, 0.2, 0.9][round % 3];
      const values = sampleDirectly(mask, size, box, height, width);
      const crop = pasteMask(mask, size, box, height, width, threshold);
      const actual = fullBitmap(crop, height, width);
      let compared = 0;
      actual.forEach((bit, i) => {
        const [x, y] = [i % width, Math.floor(i / width)];
        // As in Detectron2 on the CPU, a low threshold does not reach further than one pixel beyond the box.
        if (x < crop.x0 || x >= crop.x1 || y < crop.y0 || y >= crop.y1) return;
        compared++;
        if (Math.abs(values[i] - threshold) > 1e-4) expect(bit).toBe(values[i] >= threshold ? 1 : 0);
      });
      expect(compared).toBe((crop.x1 - crop.x0) * (crop.y1 - crop.y0));
      const rle = pasteMaskToRle(mask, size, box, height, width, threshold);
      expect(rle).toEqual(encodeRle(actual, height, width, 'row'));
      expect(pastedMaskArea(mask, size, box, height, width, threshold)).toBe(rleArea(rle));
    }
  });

  it('gives nothing for a box without area, outside the image, or not finite', () => {
    const mask = new Float32Array(4).fill(1);
    for (const box of [
      [3, 3, 3, 8],
      [5, 5, 2, 2],
      [40, 40, 50, 50],
      [-20, -20, -10, -10],
      [Number.NaN, 0, 5, 5],
      [0, 0, Infinity, 5],
    ]) {
      expect(pasteMask(mask, 2, box, 10, 10).bitmap.some((bit) => bit === 1)).toBe(false);
      expect(pasteMaskToRle(mask, 2, box, 10, 10)).toEqual({ size: [10, 10], counts: Uint32Array.of(100) });
    }
  });

  it('joins runs over column ends, and starts with a run of zeros of length 0 where the first pixel is set', () => {
    const mask = new Float32Array(9).fill(1);
    expect(pasteMaskToRle(mask, 3, [-10, -10, 20, 20], 4, 5)).toEqual({ size: [4, 5], counts: Uint32Array.of(0, 20) });
  });

  it('refuses what does not fit', () => {
    expect(() => pasteMask(new Float32Array(5), 2, [0, 0, 1, 1], 4, 4)).toThrow('5 values do not make a mask of 2 x 2');
    expect(() => pasteMask(new Float32Array(4), 2, [0, 0, 1, 1], 4.5, 4)).toThrow('must be positive integers, not 4.5 x 4');
    expect(() => pasteMask(new Float32Array(4), 2, [0, 0, 1, 1], 4, 4, 0)).toThrow(ArgumentError);
  });
});

const golden = goldenFolder();
describe.skipIf(!golden)('golden files (skipped where the golden folder is absent)', () => {
  it.each([
    ['m28', 28, 90, 120],
    ['m14', 14, 50, 60],
  ])('%s: Detectron2 differs only where the sample lies next to the threshold', (name, size, height, width) => {
    const file = new SafetensorsFile(join(golden ?? '', 'ops', 'paste_masks.safetensors'));
    const masks = Float32Array.from(file.get(`${name}.in.masks`).data);
    const boxes = file.get(`${name}.in.boxes`);
    const expected = file.get(`${name}.out.masks`).data;
    const soft = file.get(`${name}.out.soft`).data;
    for (let n = 0; n < boxes.shape[0]; n++) {
      const mask = masks.subarray(n * size * size, (n + 1) * size * size);
      const box = Array.from(boxes.data.subarray(n * 4, n * 4 + 4));
      const bitmap = decodeRle(pasteMaskToRle(mask, size, box, height, width));
      let wrong = 0;
      bitmap.forEach((bit, i) => {
        const k = n * height * width + i;
        if (bit !== expected[k] && soft[k] !== 127 && soft[k] !== 128) wrong++;
      });
      expect(wrong).toBe(0);
    }
  });
});
