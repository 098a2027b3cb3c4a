import { describe, expect, it } from 'vitest';
import { copyPaste, mosaic } from '../../../src/data/mix/index.js';
import type { MaskAnnotation, TrainingSample } from '../../../src/structures/training_sample.js';
import { ScriptedNumbers } from '../../golden/data/transforms/scripted_numbers.js';

/** One colour, with one square object from (x, y) to (x + side, y + side). */
function sample(
  color: number,
  height: number,
  width: number,
  x: number,
  y: number,
  side: number,
  bitmap = false,
): TrainingSample {
  const mask: MaskAnnotation = bitmap
    ? {
        kind: 'bitmap',
        bitmap: Uint8Array.from({ length: height * width }, (_, i) => {
          const [row, column] = [Math.floor(i / width), i % width];
          return row >= y && row < y + side && column >= x && column < x + side ? 1 : 0;
        }),
      }
    : { kind: 'polygons', polygons: [Float64Array.from([x, y, x + side, y, x + side, y + side, x, y + side])] };
  return {
    data: new Uint8Array(height * width * 3).fill(color),
    height,
    width,
    imageId: color,
    fileName: `${color}.png`,
    groundTruth: {
      boxes: Float32Array.from([x, y, x + side, y + side]),
      classes: Int32Array.of(color),
      masks: [mask],
    },
  };
}

const area = (mask: MaskAnnotation) => (mask.kind === 'bitmap' ? mask.bitmap.reduce((a, b) => a + b, 0) : NaN);

describe('mosaic', () => {
  it('puts four pictures around a point and cuts their objects', () => {
    // Point at (0.5 * 20, 0.3 * 10 -> 3).
    const four = [
      sample(1, 8, 8, 5, 6, 2, true),
      sample(2, 8, 30, 8, 0, 6),
      sample(3, 4, 4, 0, 0, 4),
      sample(4, 20, 20, 12, 12, 5),
    ];
    const out = mosaic(four, { height: 10, width: 20 }, new ScriptedNumbers([0.5, 0.3]));
    expect([out.height, out.width, out.imageId, out.fileName]).toEqual([10, 20, 1, '1.png']);
    const at = (x: number, y: number) => out.data[(y * 20 + x) * 3];
    // The first picture is 8 wide and the quarter 10: its left two columns are empty. The third is 4 x 4.
    expect([at(1, 2), at(2, 2), at(9, 2), at(10, 2), at(19, 0)]).toEqual([128, 1, 1, 2, 2]);
    expect([at(5, 3), at(6, 3), at(9, 6), at(9, 7), at(10, 3), at(19, 9)]).toEqual([128, 3, 3, 128, 4, 4]);
    // First: rows 5..7 are left, object rows 6..7 -> 1..2, columns 5..6 -> 7..8. Second: rows 5..7 too, so one row of its object; cut at x 20.
    // Fourth: its object lies outside.
    expect([...out.groundTruth.classes]).toEqual([1, 2, 3]);
    expect([...out.groundTruth.boxes]).toEqual([7, 1, 9, 3, 18, 0, 20, 1, 6, 3, 10, 7]);
    const [first, second] = out.groundTruth.masks!;
    expect(area(first)).toBe(4);
    expect(first.kind === 'bitmap' && [...first.bitmap.keys()].filter((i) => first.bitmap[i])).toEqual([27, 28, 47, 48]);
    const corners = second.kind === 'polygons' ? [...second.polygons[0]] : [];
    expect([Math.min(...corners.filter((_, i) => i % 2 === 0)), Math.max(...corners.filter((_, i) => i % 2 === 0))]).toEqual([
      18, 20,
    ]);
  });
});

describe('copyPaste', () => {
  it('covers what lies below and draws its box tight again', () => {
    const target = sample(1, 8, 8, 0, 0, 4);
    const source = sample(9, 6, 12, 2, 0, 4, true);
    const out = copyPaste(target, source, new ScriptedNumbers([0.4]));
    expect(out.imageId).toBe(1);
    expect([...out.groundTruth.classes]).toEqual([1, 9]);
    expect([...out.groundTruth.boxes]).toEqual([0, 0, 2, 4, 2, 0, 6, 4]);
    expect(out.groundTruth.masks!.map(area)).toEqual([8, 16]);
    expect([out.data[0], out.data[2 * 3], out.data[6 * 3], out.data[4 * 8 * 3 + 6]]).toEqual([1, 9, 1, 1]);
    expect(target.data.every((v) => v === 1)).toBe(true);
  });

  it('drops what is covered altogether, and pastes nothing when nothing is drawn', () => {
    const target = sample(1, 8, 8, 3, 1, 2);
    const source = sample(9, 8, 8, 2, 0, 4);
    expect([...copyPaste(target, source, new ScriptedNumbers([0])).groundTruth.classes]).toEqual([9]);
    const same = copyPaste(target, source, new ScriptedNumbers([0.5]));
    expect([...same.groundTruth.classes]).toEqual([1]);
    expect(same.data).toEqual(target.data);
    const without = { ...source, groundTruth: { boxes: new Float32Array(0), classes: new Int32Array(0) } };
    expect(() => copyPaste(target, without, new ScriptedNumbers([0]))).toThrow('only with masks');
  });
});
