import { createHash } from 'node:crypto';
import { DatasetError } from '../errors.js';
import type { Communicator } from './communicator.js';

/** What must be the same on all ranks, by what it is called in a message; null where a rank has none. */
export type SharedFacts = Readonly<Record<string, Uint8Array | string | null>>;

/**
 * Compares what the ranks start from, by SHA-256. All ranks give the same names.
 * @throws DatasetError, on all ranks alike, where something differs: names what, and the ranks that have another than rank 0
 */
export function agree(communicator: Communicator, facts: SharedFacts): void {
  const own = Object.entries(facts).map(([name, value]) => [name, value === null ? null : hash(value)]);
  const everyone = communicator
    .gather(new TextEncoder().encode(JSON.stringify(Object.fromEntries(own))))
    .map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as Record<string, string | null>);
  const differing = Object.keys(everyone[0]).flatMap((name) => {
    const ranks = everyone.flatMap((theirs, rank) => (theirs[name] === everyone[0][name] ? [] : [rank]));
    if (ranks.length === 0) return [];
    const seen = ranks.slice(0, 8).map((rank) => `rank ${rank} ${short(everyone[rank][name])}`);
    if (ranks.length > 8) seen.push(`${ranks.length - 8} more`);
    return [`${name}: rank 0 has ${short(everyone[0][name])}, ${seen.join(', ')}`];
  });
  if (differing.length === 0) return;
  throw new DatasetError(
    `The processes do not start from the same: ${differing.join('; ')} (first digits of the SHA-256). Give all machines the same files, options and version.`,
  );
}

const hash = (value: Uint8Array | string): string => createHash('sha256').update(value).digest('hex');

const short = (digest: string | null | undefined): string => digest?.slice(0, 8) ?? 'none';
