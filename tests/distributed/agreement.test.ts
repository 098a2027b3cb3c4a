import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { agree } from '../../src/distributed/agreement.js';
import { DatasetError } from '../../src/errors.js';
import { GivenPeers } from './in_process.js';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const peer = (facts: object): number[] => [...new TextEncoder().encode(JSON.stringify(facts))];

describe('agree', () => {
  it('says nothing where all start from the same', () => {
    const theirs = peer({ data: digest('a'), validation: null });
    agree(new GivenPeers(1, 3, [theirs, theirs]), { data: 'a', validation: null });
  });

  it('names what differs, and the ranks that have another than rank 0', () => {
    const first = peer({ data: digest('a'), config: digest('c') });
    const second = peer({ data: digest('b'), config: digest('c') });
    // SHA-256 of "a" and "b", as any tool gives them.
    const wanted = 'the data: rank 0 has ca978112, rank 1 3e23e816, rank 2 none (';
    const check = () => agree(new GivenPeers(2, 3, [first, second]), { data: null, config: 'c' });
    expect(check).toThrow(DatasetError);
    expect(check).toThrow(wanted.replace('the data', 'data'));
    expect(check).not.toThrow(/config: rank/);
  });
});
