import { createHash } from 'node:crypto';
import { DatasetError } from '../errors.js';
import type { Communicator } from './communicator.js';

/**
 * What must be the same on all ranks, by what it is called in a message; null where a rank has none. Short text is shown in the message as it is, the
 * rest by its hash.
 */
export type SharedFacts = Readonly<Record<string, Uint8Array | string | null>>;

/** A fact as ranks compare it. */
type Compared = { readonly text: string } | { readonly sha256: string } | null;

/** Characters of text that a message shows. */
const SHOWN = 60;

/** Differences that a message names. */
const NAMED = 12;

/**
 * Compares what the ranks start from. All ranks give the same names.
 * @throws DatasetError, on all ranks alike, where something differs: names what, and the ranks that have another than rank 0
 */
export function agree(communicator: Communicator, facts: SharedFacts): void {
  const own = Object.entries(facts).map(([name, value]) => [name, compared(value)]);
  const everyone = communicator
    .gather(new TextEncoder().encode(JSON.stringify(Object.fromEntries(own))))
    .map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as Record<string, Compared>);
  const [first] = everyone;
  const differing = Object.keys(first).flatMap((name) => {
    const ranks = everyone.flatMap((theirs, rank) => (key(theirs[name]) === key(first[name]) ? [] : [rank]));
    if (ranks.length === 0) return [];
    const seen = ranks.slice(0, 8).map((rank) => `rank ${rank} ${shown(everyone[rank][name])}`);
    if (ranks.length > 8) seen.push(`${ranks.length - 8} more`);
    return [`${name}: rank 0 has ${shown(first[name])}, ${seen.join(', ')}`];
  });
  if (differing.length === 0) return;
  const listed = differing.slice(0, NAMED);
  if (differing.length > NAMED) listed.push(`and ${differing.length - NAMED} more`);
  throw new DatasetError(
    `The processes do not start from the same: ${listed.join('; ')}. Give all machines the same files, options and version.`,
  );
}

function compared(value: Uint8Array | string | null): Compared {
  if (value === null) return null;
  if (typeof value === 'string' && value.length <= SHOWN) return { text: value };
  return { sha256: createHash('sha256').update(value).digest('hex') };
}

const key = (fact: Compared | undefined): string => JSON.stringify(fact ?? null);

function shown(fact: Compared | undefined): string {
  if (!fact) return 'none';
  return 'text' in fact ? fact.text || "''" : `SHA-256 ${fact.sha256.slice(0, 8)}`;
}
