import type { Communicator } from '../../src/distributed/communicator.js';

/** Ranks that are turns of one thread: collectives of one rank see what all gave, where each rank's calls are made with what the others give known. */
export class GivenPeers implements Communicator {
  private call = 0;

  /** @param peers what the other ranks give, call by call */
  constructor(
    readonly rank: number,
    readonly size: number,
    private readonly peers: readonly (readonly number[])[],
  ) {}

  sum(values: Float32Array | Float64Array): void {
    const theirs = this.next();
    for (let i = 0; i < values.length; i++) values[i] = values[i]! + theirs[i]!;
  }

  max(values: Float64Array): void {
    const theirs = this.next();
    for (let i = 0; i < values.length; i++) values[i] = Math.max(values[i]!, theirs[i]!);
  }

  broadcast(bytes: Uint8Array): Uint8Array {
    return bytes;
  }

  gather(bytes: Uint8Array): Uint8Array[] {
    const others = this.peers.map((theirs) => Uint8Array.from(theirs));
    return [...others.slice(0, this.rank), bytes, ...others.slice(this.rank)];
  }

  gatherToFirst(bytes: Uint8Array): Uint8Array[] {
    return this.rank === 0 ? this.gather(bytes) : [];
  }

  barrier(): void {}

  private next(): readonly number[] {
    return this.peers[this.call++]!;
  }
}
