/** Inputs: `boxes` [N, 4], `scores` [N], `groups` [N] int32; output: kept indices, [1 + most] int32, as `batchedNmsOnDevice` says. */
export const BATCHED_NMS = 'BatchedNms';

/** The attributes of the kernel. */
export interface BatchedNmsAttributes {
  readonly iouThreshold: number;
  /** Of the kept to give out. */
  readonly most: number;
}
