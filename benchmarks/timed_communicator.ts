import type { Communicator } from '../src/distributed/communicator.js';

/** Adds up the milliseconds that sums of floats take; the rest passes through. */
export class TimedCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** Of sums of floats, which gradients are. */
  summingMs = 0;
  /** How many there were. */
  sums = 0;

  constructor(private readonly inner: Communicator) {
    [this.rank, this.size] = [inner.rank, inner.size];
  }

  sum(values: Float32Array | Float64Array): void {
    const start = performance.now();
    this.inner.sum(values);
    if (!(values instanceof Float32Array)) return;
    this.summingMs += performance.now() - start;
    this.sums++;
  }

  max(values: Float64Array): void {
    this.inner.max(values);
  }

  broadcast(bytes: Uint8Array): Uint8Array {
    return this.inner.broadcast(bytes);
  }

  gather(bytes: Uint8Array): Uint8Array[] {
    return this.inner.gather(bytes);
  }

  barrier(): void {
    this.inner.barrier();
  }
}
