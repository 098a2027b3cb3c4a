import { describe, expect, it } from 'vitest';
import { agree } from '../../src/distributed/agreement.js';
import { DatasetError } from '../../src/errors.js';
import { GivenPeers } from './in_process.js';

const peer = (facts: Record<string, string | null>): number[] => [
  ...new TextEncoder().encode(
    JSON.stringify(Object.fromEntries(Object.entries(facts).map(([name, text]) => [name, text === null ? null : { text }]))),
  ),
];

describe('agree', () => {
  it('says nothing where all start from the same', () => {
    const theirs = peer({ data: 'a', validation: null });
    agree(new GivenPeers(1, 3, [theirs, theirs]), { data: 'a', validation: null });
  });

  it('names what differs, and the ranks that have another than rank 0', () => {
    const first = peer({ rate: '0.02', config: 'c' });
    const second = peer({ rate: '0.01', config: 'c' });
    const check = () => agree(new GivenPeers(2, 3, [first, second]), { rate: null, config: 'c' });
    expect(check).toThrow(DatasetError);
    expect(check).toThrow('same: rate: rank 0 has 0.02, rank 1 0.01, rank 2 none. Give');
  });

  it('shows what is long by its hash', () => {
    const check = () => agree(new GivenPeers(1, 2, [peer({ data: 'short' })]), { data: new TextEncoder().encode('a') });
    // SHA-256 of "a", as any tool gives it.
    expect(check).toThrow('data: rank 0 has short, rank 1 SHA-256 ca978112.');
  });

  it('does not list without end', () => {
    const names = Array.from({ length: 20 }, (_, i) => `key ${i}`);
    const facts = (value: string) => Object.fromEntries(names.map((name) => [name, value]));
    const check = () => agree(new GivenPeers(1, 2, [peer(facts('x'))]), facts('y'));
    expect(check).toThrow('key 11: rank 0 has x, rank 1 y; and 8 more.');
  });
});
