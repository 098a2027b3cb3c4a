import type { RandomNumbers } from '../../../../src/data/transforms/index.js';

/** A call of Detectron2's generator, as the goldens list it. */
export interface GoldenCall {
  fn: 'randint' | 'uniform' | 'rand' | 'choice';
  low?: number;
  high?: number;
  high_exclusive?: number;
  n?: number;
  index?: number;
  result?: number | number[];
}

/** Results from a script instead of a generator; notes the bounds of every call. */
export class ScriptedNumbers implements RandomNumbers {
  /** Bounds of the calls: [low, high] of `uniform` and `next`, [bound] of `integer`. */
  readonly bounds: number[][] = [];
  private used = 0;

  constructor(private readonly results: readonly number[]) {}

  /** Gives what Detectron2's generator gave. Integers count from the lower bound here, which the augmentation adds. */
  static of(calls: readonly GoldenCall[]): ScriptedNumbers {
    return new ScriptedNumbers(
      calls.flatMap(({ fn, low = 0, index = 0, result = 0 }) =>
        fn === 'choice' ? [index] : fn === 'randint' ? [(result as number) - low] : result,
      ),
    );
  }

  /** The bounds that calls like Detectron2's note here. */
  static boundsOf(calls: readonly GoldenCall[]): number[][] {
    return calls.flatMap(({ fn, low = 0, high = 1, high_exclusive = 0, n = 0, result }) => {
      if (fn === 'choice') return [[n]];
      if (fn === 'randint') return [[high_exclusive - low]];
      return fn === 'uniform' ? [[low, high]] : [result].flat().map(() => [0, 1]);
    });
  }

  next(): number {
    return this.uniform(0, 1);
  }

  uniform(low: number, high: number): number {
    this.bounds.push([low, high]);
    return this.take();
  }

  integer(bound: number): number {
    this.bounds.push([bound]);
    return this.take();
  }

  normal(): number {
    return this.take();
  }

  private take(): number {
    const value = this.results[this.used++];
    if (value === undefined) throw new Error('the script has no more numbers');
    return value;
  }
}
