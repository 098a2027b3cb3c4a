/** The numbers of a run by name, as they come: `loss_cls`, `lr`, `bbox/AP`. Keeps as many of each as smoothing needs. */
export class ScalarLog {
  private readonly recent = new Map<string, { values: number[]; smooth: boolean }>();
  private fresh = new Set<string>();
  /** Whether something came that is worth a line of its own iteration, such as an evaluation; until `take`. */
  due = false;

  /** @param window how many of the last values a median is taken over */
  constructor(private readonly window = 20) {}

  /** @param smooth whether readers want the median of the last values, not the last one */
  put(name: string, value: number, smooth = true): void {
    const entry = this.recent.get(name) ?? { values: [], smooth };
    entry.values.push(value);
    if (entry.values.length > this.window) entry.values.shift();
    this.recent.set(name, entry);
    this.fresh.add(name);
  }

  /** The median of the last values, or the last one; undefined for a name that never came. */
  get(name: string): number | undefined {
    const entry = this.recent.get(name);
    if (!entry) return undefined;
    return entry.smooth ? median(entry.values) : entry.values.at(-1);
  }

  /** What came since the last call, smoothed, by name. */
  take(): Record<string, number> {
    const names = [...this.fresh].sort();
    this.fresh = new Set();
    this.due = false;
    return Object.fromEntries(names.map((name) => [name, this.get(name)!]));
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
