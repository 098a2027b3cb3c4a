import { ArgumentError } from '../../errors.js';
import { Random } from '../random.js';
import { checkSize, type Sampler } from './sampler.js';

/**
 * How often each picture should occur in an epoch so that rare classes are seen (Gupta et al. 2019, LVIS): the largest
 * max(1, sqrt(threshold / frequency)) of its classes, where a class's frequency is the share of pictures that have it.
 *
 * @param categories class ids of each picture's objects
 * @param squareRoot default true
 * @returns [pictures] float32, at least 1
 */
export function repeatFactors(categories: readonly (readonly number[])[], threshold: number, squareRoot = true): Float32Array {
  const pictures = new Map<number, number>();
  for (const ids of categories) for (const id of new Set(ids)) pictures.set(id, (pictures.get(id) ?? 0) + 1);
  const factors = new Map<number, number>();
  for (const [id, count] of pictures) {
    const ratio = threshold / (count / categories.length);
    factors.set(id, Math.max(1, squareRoot ? Math.sqrt(ratio) : ratio));
  }
  return Float32Array.from(categories, (ids) => ids.reduce((most, id) => Math.max(most, factors.get(id)!), 1));
}

/**
 * The pictures of one epoch: the fraction of a factor becomes one more turn with that probability.
 *
 * @param numbers [pictures] random numbers in [0, 1)
 */
export function repeatedIndices(factors: Float32Array, numbers: ArrayLike<number>): Int32Array {
  if (numbers.length !== factors.length)
    throw new ArgumentError(`${factors.length} pictures need as many numbers, not ${numbers.length}.`);
  const out: number[] = [];
  factors.forEach((factor, i) => {
    const whole = Math.trunc(factor);
    const times = whole + (numbers[i] < Math.fround(factor - whole) ? 1 : 0);
    for (let k = 0; k < times; k++) out.push(i);
  });
  return Int32Array.from(out);
}

/** Draws pictures of rare classes more often: Detectron2's `RepeatFactorTrainingSampler`. */
export class RepeatFactorTrainingSampler implements Sampler {
  private readonly random: Random;

  /** @param factors from {@link repeatFactors} */
  constructor(
    readonly factors: Float32Array,
    seed: number,
    readonly shuffle = true,
  ) {
    checkSize(factors.length);
    this.random = new Random(seed);
  }

  epoch(epoch: number): Int32Array {
    const random = this.random.fork(epoch);
    const indices = repeatedIndices(
      this.factors,
      Float64Array.from({ length: this.factors.length }, () => random.next()),
    );
    if (!this.shuffle) return indices;
    return random.permutation(indices.length).map((i) => indices[i]);
  }
}
