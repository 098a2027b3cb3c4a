/**
 * The processes of a job that work together, and what they say to each other. Every method is collective: all ranks call the same ones in the
 * same order, and each call waits for the others. Results are the same on all ranks to the last bit.
 */
export interface Communicator {
  /** This process, from 0. */
  readonly rank: number;
  /** How many processes there are. */
  readonly size: number;
  /** Adds the arrays of all ranks, element by element, in place. All have the same length. */
  sum(values: Float32Array | Float64Array): void;
  /**
   * Begins to add what `sum` would, in the background. The array is left alone until the call that is returned has come back; sums come in the order in
   * which they were begun. Missing where nothing can be done in the background.
   */
  startSum?(values: Float32Array): () => void;
  /** The largest of each element over the ranks, in place. */
  max(values: Float64Array): void;
  /** Rank 0's bytes, of any length; what the others give is not looked at. */
  broadcast(bytes: Uint8Array): Uint8Array;
  /** The bytes of every rank, which may differ in length, by rank. */
  gather(bytes: Uint8Array): Uint8Array[];
  /** The same on rank 0 alone; nothing on the others. */
  gatherToFirst(bytes: Uint8Array): Uint8Array[];
  /** Returns once all ranks have come here. */
  barrier(): void;
}
