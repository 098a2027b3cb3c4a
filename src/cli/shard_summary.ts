import type { Shard } from '../sharding/shard.js';

/** What a shard has done. */
export interface ShardDone {
  /** Its part. */
  readonly path: string;
  /** Its pictures. */
  readonly images: number;
  /** Of these: done by earlier runs. */
  readonly before: number;
  /** Of these: could not be read. */
  readonly failed?: number;
}

/** A line for a person, or JSON. */
export function shardSummary(shard: Shard, done: ShardDone, { json }: { json?: boolean }): string {
  if (json) return `${JSON.stringify({ shard, ...done }, undefined, 2)}\n`;
  const before = done.before > 0 ? ` (${done.before} were done before)` : '';
  const failed = done.failed ? `, ${done.failed} failed` : '';
  return `shard ${shard.index} of ${shard.count}: ${done.images} pictures${before}${failed} in ${done.path}; join all with maskrcnn merge\n`;
}
