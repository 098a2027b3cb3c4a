import { describe, expect, it } from 'vitest';
import { numpyMean } from '../../src/evaluation/numpy_mean.js';

describe('numpyMean', () => {
  // numpy 2: np.mean([((i * 7919) % 1009) / 1009 for i in range(n)]).
  it.each([
    [1, 0.0],
    [5, 0.4967294350842419],
    [8, 0.4692765113974232],
    [13, 0.47480368986811017],
    [128, 0.503972063924678],
    [129, 0.5046442482771337],
    [1000, 0.5001764122893955],
    [12345, 0.49950325563247905],
  ])('is numpy.mean of %i numbers to the last bit', (length, mean) => {
    expect(numpyMean(Float64Array.from({ length }, (_, i) => ((i * 7919) % 1009) / 1009))).toBe(mean);
  });
});
