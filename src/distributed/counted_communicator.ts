import type { Communicator } from './communicator.js';

/** Counts how far this rank has come, for a thread that watches it: up by one when a call begins, and when it is over. */
export class CountedCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** A sum in the background counts where it is waited for. */
  readonly startSum?: NonNullable<Communicator['startSum']>;

  /** @param position one number in memory that threads share */
  constructor(
    private readonly inner: Communicator,
    private readonly position: Int32Array<SharedArrayBuffer>,
  ) {
    [this.rank, this.size] = [inner.rank, inner.size];
    if (inner.startSum)
      this.startSum = (values) => {
        const wait = inner.startSum!(values);
        return () => this.counted(wait);
      };
  }

  sum(values: Float32Array | Float64Array): void {
    this.counted(() => this.inner.sum(values));
  }

  max(values: Float64Array): void {
    this.counted(() => this.inner.max(values));
  }

  broadcast(bytes: Uint8Array): Uint8Array {
    return this.counted(() => this.inner.broadcast(bytes));
  }

  gather(bytes: Uint8Array): Uint8Array[] {
    return this.counted(() => this.inner.gather(bytes));
  }

  gatherToFirst(bytes: Uint8Array): Uint8Array[] {
    return this.counted(() => this.inner.gatherToFirst(bytes));
  }

  barrier(): void {
    this.counted(() => this.inner.barrier());
  }

  private counted<T>(call: () => T): T {
    Atomics.add(this.position, 0, 1);
    const result = call();
    Atomics.add(this.position, 0, 1);
    return result;
  }
}
