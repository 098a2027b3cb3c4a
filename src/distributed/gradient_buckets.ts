import * as tf from '@tensorflow/tfjs-core';
import { DivergenceError } from '../errors.js';
import type { Communicator } from './communicator.js';

/** Floats of a bucket: 16 MB, large enough that the latency of a call does not count, small enough to stay off the peak of memory. */
const BUCKET = 4 * 2 ** 20;

/** A gradient that will come. */
export interface GradientShape {
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
}

interface Bucket {
  readonly gradients: readonly GradientShape[];
  missing: number;
  /** What was copied, and where something waits for its sum, what to wait with. */
  values?: Float32Array;
  wait?: (() => void) | undefined;
}

/**
 * Sums gradients over all ranks: many go in one call, because each call costs a round trip. Where sums can be made in the background, one bucket is
 * summed while the next is copied from the device, or computed.
 *
 * Buckets are summed in the order of the gradients backwards, which is about the order of a backward pass, and not in the order in which they fill: that may
 * differ between the ranks.
 */
export class GradientSum {
  private readonly buckets: Bucket[];
  private readonly bucketOf = new Map<string, Bucket>();
  private readonly given = new Map<string, tf.Tensor | undefined>();
  private begun = 0;
  /** The first gradient of this rank that is not finite: nothing is summed from there on. */
  private bad: string | undefined;

  /** @param gradients the same, in the same order, on all ranks */
  constructor(
    private readonly communicator: Communicator,
    private readonly gradients: readonly GradientShape[],
    bucket = BUCKET,
  ) {
    this.buckets = bucketsOf([...gradients].reverse(), bucket).map((part) => ({ gradients: part, missing: part.length }));
    for (const each of this.buckets) for (const { name } of each.gradients) this.bucketOf.set(name, each);
  }

  /** Takes one of this rank's gradients, which stays the caller's; undefined for zeros. The sums that it was waited for with begin. */
  give(name: string, gradient: tf.Tensor | undefined): void {
    this.given.set(name, gradient);
    this.bucketOf.get(name)!.missing--;
    for (; this.begun < this.buckets.length && this.buckets[this.begun].missing === 0; this.begun++)
      this.begin(this.buckets[this.begun]);
  }

  /**
   * Waits for all sums. All gradients have been given.
   * @returns the sums in the order of the gradients; the caller disposes of them
   * @throws DivergenceError where a gradient of this rank is not finite; the other ranks wait for it then
   */
  finish(): Map<string, tf.Tensor> {
    if (this.bad !== undefined)
      throw new DivergenceError(
        `the losses are finite, but not the gradient of ${this.bad}. The weights are as before this step.`,
      );
    const sums = new Map<string, tf.Tensor>();
    for (const { gradients, values, wait } of this.buckets) {
      wait?.();
      let at = 0;
      for (const { name, shape, size } of gradients) {
        sums.set(name, tf.tensor(values!.subarray(at, at + size), [...shape]));
        at += size;
      }
    }
    return new Map(this.gradients.map(({ name }) => [name, sums.get(name)!]));
  }

  private begin(bucket: Bucket): void {
    if (this.bad !== undefined) return;
    const { communicator } = this;
    const floats = bucket.gradients.reduce((count, { size }) => count + size, 0);
    // New for every bucket: the tensors made of it may keep it. Shared where another thread is to see it.
    const values = new Float32Array(communicator.startSum ? new SharedArrayBuffer(4 * floats) : new ArrayBuffer(4 * floats));
    let at = 0;
    for (const { name, size } of bucket.gradients) {
      const gradient = this.given.get(name);
      if (gradient) values.set(gradient.dataSync() as Float32Array, at);
      if (!allFinite(values, at, at + size)) {
        this.bad = name;
        return;
      }
      at += size;
    }
    bucket.values = values;
    if (communicator.startSum) bucket.wait = communicator.startSum(values);
    else communicator.sum(values);
  }
}

/**
 * Sums gradients that are there.
 * @param gradients the same names and shapes, in the same order, on all ranks; disposed of
 * @returns the sums, which the caller disposes of
 * @throws DivergenceError where a gradient of this rank is not finite
 */
export function sumGradients(
  communicator: Communicator,
  gradients: ReadonlyMap<string, tf.Tensor>,
  bucket = BUCKET,
): Map<string, tf.Tensor> {
  const shapes = [...gradients].map(([name, { shape, size }]) => ({ name, shape, size }));
  const sum = new GradientSum(communicator, shapes, bucket);
  try {
    for (const { name } of [...shapes].reverse()) sum.give(name, gradients.get(name));
    return sum.finish();
  } finally {
    tf.dispose([...gradients.values()]);
  }
}

/** Neighbours together until a bucket is full; a gradient that is larger than a bucket has one for itself. */
function bucketsOf(gradients: readonly GradientShape[], bucket: number): GradientShape[][] {
  const buckets: GradientShape[][] = [];
  let filled = Infinity;
  for (const gradient of gradients) {
    if (filled + gradient.size > bucket) {
      buckets.push([]);
      filled = 0;
    }
    buckets[buckets.length - 1].push(gradient);
    filled += gradient.size;
  }
  return buckets;
}

/** By one sum: a value that is not finite makes it NaN. */
function allFinite(values: Float32Array, from: number, to: number): boolean {
  let sum = 0;
  for (let i = from; i < to; i++) sum += values[i] * 0;
  return sum === 0;
}
