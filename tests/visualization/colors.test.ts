import { describe, expect, it } from 'vitest';
import { classColor, hexColor, relativeLuminance, textColorOn } from '../../src/visualization/colors.js';

describe('classColor', () => {
  it('keeps a class its colour, whatever was asked before', () => {
    const first = Array.from({ length: 80 }, (_, i) => hexColor(classColor(i)));
    expect(Array.from({ length: 80 }, (_, i) => hexColor(classColor(79 - i))).reverse()).toEqual(first);
    expect(new Set(first).size).toBe(80);
  });

  it('spreads the first twelve classes', () => {
    for (let a = 0; a < 12; a++) {
      for (let b = 0; b < a; b++) {
        const [ca, cb] = [classColor(a), classColor(b)];
        expect(Math.hypot(ca[0] - cb[0], ca[1] - cb[1], ca[2] - cb[2]), `classes ${a} and ${b}`).toBeGreaterThan(45);
      }
    }
  });
});

describe('textColorOn', () => {
  it('is black on light and white on dark', () => {
    expect(textColorOn([255, 255, 0])).toEqual([0, 0, 0]);
    expect(textColorOn([0, 0, 160])).toEqual([255, 255, 255]);
  });

  it('reaches a contrast of 4.5 on every class colour', () => {
    for (let i = 0; i < 200; i++) {
      const ground = relativeLuminance(classColor(i));
      const text = relativeLuminance(textColorOn(classColor(i)));
      expect((Math.max(ground, text) + 0.05) / (Math.min(ground, text) + 0.05)).toBeGreaterThan(4.5);
    }
  });
});
