import type { Permutations } from '../src/rpn/subsample_labels.js';

/** Draws in the given order, as the goldens do. */
export const givenOrder: Permutations = { permutation: (n) => Int32Array.from({ length: n }, (_, i) => i) };
