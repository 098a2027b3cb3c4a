/** The whole state of a generator, as it lies in a checkpoint. */
export type RandomState = readonly [number, number, number, number];

/**
 * Seeded random numbers (xoshiro128**, Blackman and Vigna 2018): equal on every machine, resumable from `state`.
 * Everything random in this library takes one as an argument.
 */
export class Random {
  private readonly s: Uint32Array;

  /** @param seed a number below 2^32, or the state of an earlier generator */
  constructor(seed: number | RandomState) {
    this.s = typeof seed === 'number' ? expandSeed(seed) : Uint32Array.from(seed);
  }

  get state(): RandomState {
    return [this.s[0], this.s[1], this.s[2], this.s[3]];
  }

  /** A generator of its own for a named or numbered part, such as one image of one epoch: what it draws does not depend on its neighbours. */
  fork(...keys: readonly number[]): Random {
    let seed = this.s[0] ^ Math.imul(this.s[2], 0x9e3779b1);
    for (const key of keys) seed = Math.imul(seed ^ (key >>> 0) ^ (seed >>> 15), 0x85ebca6b) ^ Math.floor(key / 4294967296);
    return new Random(seed >>> 0);
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const { s } = this;
    const product = Math.imul(s[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** A double in [0, 1) with 53 random bits. */
  next(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** A double in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** An integer in [0, bound), without bias that anyone could see (bound far below 2^53). */
  integer(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** A standard normal number (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** The numbers 0..n-1 in random order (Fisher and Yates). */
  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

/** Four words from one by splitmix32, never all zero. */
function expandSeed(seed: number): Uint32Array {
  let x = seed >>> 0;
  return Uint32Array.from({ length: 4 }, () => {
    x = (x + 0x9e3779b9) >>> 0;
    let z = x;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  });
}
