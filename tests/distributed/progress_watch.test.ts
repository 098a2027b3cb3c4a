import { describe, expect, it } from 'vitest';
import { ProgressWatch } from '../../src/distributed/progress_watch.js';

/** Signs every second of ranks at positions that depend on the second; what is found, and when. */
function watch(positionsAt: (second: number) => (number | undefined)[], seconds = 100) {
  const progress = new ProgressWatch(10_000, 1_000);
  for (let second = 0; second < seconds; second++) {
    positionsAt(second).forEach((position, rank) => {
      if (position !== undefined) progress.hear(rank, position, second * 1000);
    });
    const found = progress.check(second * 1000);
    if (found) return { second, ...found };
  }
  return undefined;
}

describe('ProgressWatch', () => {
  it('leaves ranks alone that compute as long as they like, together', () => {
    expect(watch(() => [4, 4, 4])).toBeUndefined();
  });

  it('leaves ranks alone that come late, but come', () => {
    // In turns, one waits nine seconds for the other.
    expect(watch((s) => [1 + 2 * Math.floor(s / 9), 2 * Math.floor(s / 9)])).toBeUndefined();
  });

  it('names those that do not come where another waits', () => {
    // Rank 1 waits from second 5 on; the others compute.
    expect(watch((s) => [2, s < 5 ? 2 : 3, 2])).toEqual({ second: 16, ranks: [0, 2], kind: 'behind' });
    // The last is inside a call that the others have left.
    expect(watch(() => [4, 4, 3])).toEqual({ second: 11, ranks: [2], kind: 'behind' });
  });

  it('names a rank that is silent, also where all are in the same call', () => {
    // Heard last at second 7, in the call that both have come to then; at second 6, before it.
    expect(watch((s) => (s < 7 ? [2, 2] : [3, s === 7 ? 3 : undefined]))).toEqual({ second: 18, ranks: [1], kind: 'silent' });
    expect(watch((s) => (s < 7 ? [2, 2] : [3, undefined]))).toEqual({ second: 17, ranks: [1], kind: 'silent' });
  });

  it('says where all wait in the same call', () => {
    expect(watch((s) => (s < 4 ? [2, 2] : [3, 3]))).toEqual({ second: 18, ranks: [0, 1], kind: 'together' });
  });

  it('does not wait for ranks that left, which wait for the others', () => {
    const progress = new ProgressWatch(10_000, 1_000);
    progress.hear(0, 8, 0);
    progress.leave(1);
    for (let second = 0; second <= 10; second++) {
      progress.hear(0, 8, second * 1000);
      expect(progress.check(second * 1000)).toBeUndefined();
    }
    expect(progress.check(10_500)).toEqual({ ranks: [0], kind: 'behind' });
    progress.leave(0);
    for (let second = 11; second < 40; second++) expect(progress.check(second * 1000)).toBeUndefined();
  });

  it('begins anew where this process itself stood still', () => {
    const progress = new ProgressWatch(10_000, 1_000);
    for (const rank of [0, 1]) progress.hear(rank, 2 + rank, 0);
    expect(progress.check(0)).toBeUndefined();
    expect(progress.check(60_000)).toBeUndefined();
    expect(progress.check(61_000)).toBeUndefined();
  });
});
