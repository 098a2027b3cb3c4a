import { describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';

describe('Random', () => {
  it('follows xoshiro128** from a known state', () => {
    // The reference implementation gives these from the state 1, 2, 3, 4.
    const random = new Random([1, 2, 3, 4]);
    expect(Array.from({ length: 10 }, () => random.uint32())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it('goes on exactly from its state', () => {
    const random = new Random(7);
    for (let i = 0; i < 10; i++) random.next();
    const again = new Random(random.state);
    expect(Array.from({ length: 20 }, () => again.next())).toEqual(Array.from({ length: 20 }, () => random.next()));
  });

  it('is uniform and normal in the mean and the variance', () => {
    const random = new Random(3);
    const n = 20000;
    const uniform = Array.from({ length: n }, () => random.next());
    const normal = Array.from({ length: n }, () => random.normal());
    const mean = (v: number[]): number => v.reduce((a, b) => a + b, 0) / v.length;
    expect(Math.abs(mean(uniform) - 0.5)).toBeLessThan(0.01);
    expect(Math.abs(mean(normal))).toBeLessThan(0.03);
    expect(Math.abs(mean(normal.map((v) => v * v)) - 1)).toBeLessThan(0.04);
  });

  it('permutes, and forks to streams that differ by key and not by what was drawn after', () => {
    const random = new Random(5);
    expect([...random.permutation(50)].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    const [a, b] = [random.fork(1, 2), random.fork(1, 3)];
    expect(a.next()).not.toBe(b.next());
    expect(random.fork(1, 2).next()).toBe(new Random(random.state).fork(1, 2).next());
  });
});
