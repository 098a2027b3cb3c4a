import { describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { moveByLastPlace } from './models/last_place.js';

describe('moveByLastPlace', () => {
  it('goes to the neighbours among float32 numbers, on both sides of zero, and nowhere else', () => {
    const values = new Float32Array(300).map((_, i) => [1, -1, 0.75][i % 3]!);
    const moved = moveByLastPlace(values, new Random(1));
    const seen = (first: number) => [...new Set(moved.filter((_, i) => i % 3 === first))].sort((a, b) => a - b);
    expect(seen(0)).toEqual([1 - 2 ** -24, 1 + 2 ** -23]);
    expect(seen(1)).toEqual([-1 - 2 ** -23, -1 + 2 ** -24]);
    expect(seen(2)).toEqual([0.75 - 2 ** -24, 0.75 + 2 ** -24]);
    expect(values[0]).toBe(1);
  });

  it('leaves zeros', () => {
    expect([...moveByLastPlace(new Float32Array(50), new Random(1))]).toEqual(Array(50).fill(0));
  });
});
