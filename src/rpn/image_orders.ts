import type { Random } from '../data/random.js';
import type { Permutations } from './subsample_labels.js';

/**
 * Draws for every picture of a batch apart: what a picture draws follows from its place in the whole batch, not from the pictures beside it, so
 * that a batch divided over processes is sampled as one.
 */
export class ImageOrders implements Permutations {
  private readonly images = new Map<number, Random>();

  /** @param first the place in the whole batch of the first picture here */
  constructor(
    private readonly random: Random,
    private readonly first = 0,
  ) {}

  permutation(n: number): Int32Array {
    return this.random.permutation(n);
  }

  ofImage(image: number): Permutations {
    const known = this.images.get(image);
    if (known) return known;
    const own = this.random.fork(this.first + image);
    this.images.set(image, own);
    return own;
  }
}
