/** What keeps a job from going on. */
export interface Standstill {
  readonly ranks: readonly number[];
  /** `silent`: not a sign of the process; `behind`: it does not come where others wait for it; `together`: all wait in the same call. */
  readonly kind: 'silent' | 'behind' | 'together';
}

interface Progress {
  position: number;
  /** When it was heard of last. */
  heard: number;
}

/**
 * Tells a rank that hangs from one that computes. All ranks make the same collective calls in the same order; a rank's position goes up when it begins
 * one and when it has come out, so that an odd one is inside. All times are milliseconds of one clock.
 */
export class ProgressWatch {
  private readonly ranks = new Map<number, Progress>();
  /** Since when the ranks furthest behind have been there with something waiting for them. */
  private waiting: { readonly at: number; readonly together: boolean; readonly since: number } | undefined;
  private checked: number | undefined;

  /**
   * @param timeout how long others wait for a rank
   * @param period between signs of a rank, and between calls of `check`
   */
  constructor(
    private readonly timeout: number,
    private readonly period: number,
  ) {}

  /** A sign of a rank. */
  hear(rank: number, position: number, now: number): void {
    this.ranks.set(rank, { position, heard: now });
  }

  /** A rank that leaves the job is waited for no more, and waits for those that have not come as far. */
  leave(rank: number): void {
    this.ranks.set(rank, { position: Infinity, heard: Infinity });
  }

  /** Ranks that nothing was heard of for too long, else those that are waited for too long; undefined where all is well. */
  check(now: number): Standstill | undefined {
    const late = this.checked !== undefined && now - this.checked > 10 * this.period;
    this.checked = now;
    // It was this process that stood still, with all others perhaps, as when a machine sleeps: begin anew.
    if (late) {
      for (const rank of this.ranks.values()) rank.heard = Math.max(rank.heard, now);
      this.waiting = undefined;
      return undefined;
    }
    const silent = this.where(({ heard }) => now - heard > this.timeout);
    if (silent.length > 0) return { ranks: silent, kind: 'silent' };
    const positions = [...this.ranks.values()].map(({ position }) => position);
    const [at, furthest] = [Math.min(...positions), Math.max(...positions)];
    const together = at === furthest && at % 2 === 1 && positions.length > 1;
    if (at === furthest && !together) {
      this.waiting = undefined;
      return undefined;
    }
    if (this.waiting?.at !== at || this.waiting.together !== together) this.waiting = { at, together, since: now };
    // Where all are in one call, one of them may be silent: that is found first.
    if (now - this.waiting.since <= this.timeout + (together ? 3 * this.period : 0)) return undefined;
    return { ranks: this.where(({ position }) => position === at), kind: together ? 'together' : 'behind' };
  }

  private where(holds: (progress: Progress) => boolean): number[] {
    return [...this.ranks].flatMap(([rank, progress]) => (holds(progress) ? [rank] : [])).sort((a, b) => a - b);
  }
}
