import type { Launch } from './launch.js';

/** Places in the memory that both threads see. */
export const ASKED = 0;
/** Sums that are done. */
export const DONE = 1;
/** The code of the first call of MPI that failed; 0 where none did. */
export const CODE = 2;

/** What a summing thread is made with. */
export interface SumOptions {
  readonly launch: Launch;
  readonly state: Int32Array<SharedArrayBuffer>;
  /** Where arrays in shared memory come, in the order in which they are summed. */
  readonly port: import('node:worker_threads').MessagePort;
}
