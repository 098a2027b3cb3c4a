import type { Communicator } from '../src/distributed/communicator.js';

/** Adds up the milliseconds that the caller waits for sums of floats; the rest passes through. */
export class TimedCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** Of sums of floats, which gradients are. */
  summingMs = 0;
  /** How many there were. */
  sums = 0;
  readonly startSum?: NonNullable<Communicator['startSum']>;

  constructor(private readonly inner: Communicator) {
    [this.rank, this.size] = [inner.rank, inner.size];
    if (inner.startSum)
      this.startSum = (values) => {
        const wait = inner.startSum!(values);
        return () => this.timed(wait);
      };
  }

  sum(values: Float32Array | Float64Array): void {
    if (values instanceof Float32Array) this.timed(() => this.inner.sum(values));
    else this.inner.sum(values);
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

  gatherToFirst(bytes: Uint8Array): Uint8Array[] {
    return this.inner.gatherToFirst(bytes);
  }

  barrier(): void {
    this.inner.barrier();
  }

  private timed(wait: () => void): void {
    const start = performance.now();
    wait();
    this.summingMs += performance.now() - start;
    this.sums++;
  }
}
