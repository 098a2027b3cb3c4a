import { describe, expect, it } from 'vitest';
import { topK } from '../../src/rpn/top_k.js';

describe('topK', () => {
  it('gives the largest first, equal values in order', () => {
    const values = Float32Array.of(9, 0.5, -1, 3, 3, -7, 0.25, 3);
    expect([...topK(values, 1, 7, 4)]).toEqual([2, 3, 6, 0]);
    expect([...topK(values, 0, 3, 10)]).toEqual([0, 1, 2]);
  });

  it('takes both zeros for one value, and puts what is not a number above all', () => {
    expect([...topK(Float32Array.of(-1, -0, 0, -0, 0), 0, 5, 2)]).toEqual([1, 2]);
    const negative = new Float32Array(Uint32Array.of(0xffc00000).buffer)[0];
    expect([...topK(Float32Array.of(1, Infinity, negative, -Infinity, NaN, Infinity), 0, 6, 4)]).toEqual([2, 4, 1, 5]);
    expect([...topK(Float32Array.of(1, NaN, -Infinity, 2, -Infinity), 0, 5, 9)]).toEqual([1, 3, 0, 2, 4]);
  });

  it('equals a full stable sort on many values with ties and both signs', () => {
    const values = Float32Array.from({ length: 5000 }, (_, i) => Math.fround(Math.sin(i * 12.9898) * 50));
    for (let i = 0; i < 5000; i += 7) values[i] = Math.round(values[i]);
    const sorted = Array.from(values, (_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
    expect([...topK(values, 0, 5000, 1000)]).toEqual(sorted.slice(0, 1000));
  });
});
