import { ArgumentError } from '../../errors.js';
import { Random } from '../random.js';

/** An order of the pictures of a data set, epoch by epoch. The same epoch is always the same, so a position is a full state. */
export interface Sampler {
  /** Picture numbers of an epoch (from 0). */
  epoch(epoch: number): Int32Array;
}

/** All pictures in a new random order each epoch, forever: Detectron2's `TrainingSampler`. */
export class TrainingSampler implements Sampler {
  private readonly random: Random;

  constructor(
    readonly size: number,
    seed: number,
    readonly shuffle = true,
  ) {
    checkSize(size);
    this.random = new Random(seed);
  }

  epoch(epoch: number): Int32Array {
    if (!this.shuffle) return Int32Array.from({ length: this.size }, (_, i) => i);
    return this.random.fork(epoch).permutation(this.size);
  }
}

/** A random part of the pictures, the same in all epochs, in a new random order each: Detectron2's `RandomSubsetTrainingSampler`. */
export class RandomSubsetTrainingSampler implements Sampler {
  /** The pictures chosen. */
  readonly subset: Int32Array;
  private readonly order: TrainingSampler;

  /**
   * @param ratio share of the pictures, above 0 up to 1
   * @param subsetSeed chooses the part; default `seed`
   */
  constructor(size: number, ratio: number, seed: number, subsetSeed = seed) {
    checkSize(size);
    if (!(ratio > 0 && ratio <= 1))
      throw new ArgumentError(`The share of a random subset must be above 0 and at most 1, not ${ratio}.`);
    const length = Math.floor(size * ratio);
    if (length === 0) throw new ArgumentError(`A share of ${ratio} of ${size} pictures is none.`);
    this.subset = new Random(subsetSeed).fork(0x5ab5e7).permutation(size).slice(0, length);
    this.order = new TrainingSampler(length, seed);
  }

  epoch(epoch: number): Int32Array {
    return this.order.epoch(epoch).map((i) => this.subset[i]);
  }
}

/** The pictures once, in order; with several processes each takes its part, the first ones one more: Detectron2's `InferenceSampler`. */
export class InferenceSampler implements Sampler {
  constructor(
    readonly size: number,
    readonly rank = 0,
    readonly ranks = 1,
  ) {
    if (!(Number.isInteger(ranks) && ranks > 0 && Number.isInteger(rank) && rank >= 0 && rank < ranks))
      throw new ArgumentError(`Process ${rank} of ${ranks} is none: they count from 0.`);
  }

  epoch(epoch: number): Int32Array {
    if (epoch > 0) return new Int32Array(0);
    const share = Math.floor(this.size / this.ranks);
    const left = this.size % this.ranks;
    const begin = this.rank * share + Math.min(this.rank, left);
    return Int32Array.from({ length: share + (this.rank < left ? 1 : 0) }, (_, i) => begin + i);
  }
}

export function checkSize(size: number): void {
  if (!(Number.isInteger(size) && size > 0)) throw new ArgumentError(`A sampler needs at least one picture, not ${size}.`);
}
