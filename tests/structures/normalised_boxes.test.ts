import { describe, expect, it } from 'vitest';
import { centredAt, fromNormalised, toNormalised } from '../../src/structures/normalised_boxes.js';

describe('normalised boxes', () => {
  it('a picture lies in the middle, an odd pixel more behind it', () => {
    expect(centredAt([117, 100], [128, 128])).toEqual({ left: 14, top: 5 });
  });

  it('from the middle of the first pixel to that of the last, and back', () => {
    const boxes = Float32Array.of(0, 0, 100, 117, 10, 20, 30, 50);
    const normalised = toNormalised(boxes, [117, 100], [128, 128]);
    const expected = [14, 5, 113, 121, 24, 25, 43, 54].map((v) => v / 127);
    expected.forEach((v, i) => expect(Math.abs(normalised[i]! - v)).toBeLessThan(1e-7));
    fromNormalised(normalised, [117, 100], [128, 128]).forEach((v, i) => expect(Math.abs(v - boxes[i]!)).toBeLessThan(1e-4));
  });
});
