import { median } from './median.js';

/** Share by which resident memory may grow. */
const LIMIT = 0.05;

/** Resident memory over many turns of the same work, megabytes, one a turn, and the tensors that the turns left behind. */
export interface MemoryCourse {
  readonly name: string;
  readonly input: string;
  readonly backend: string;
  readonly rss: readonly number[];
  /** Turns whose memory is taken together: the collector's saw-tooth is longer than one. */
  readonly window: number;
  readonly newTensors: number;
}

/** Prints one JSON line, and makes the process fail where memory grew by more than 5 % or tensors were left. */
export function reportMemory({ name, input, backend, rss, window, newTensors }: MemoryCourse): void {
  const first = median(rss.slice(0, window));
  const last = median(rss.slice(-window));
  const growth = last / first - 1;
  console.log(
    JSON.stringify({
      name,
      input: `${input}; medians of the first and the last ${window}`,
      backend,
      rss_first_mb: Math.round(first),
      rss_last_mb: Math.round(last),
      rss_most_mb: Math.round(Math.max(...rss)),
      growth: Number(growth.toFixed(4)),
      limit: LIMIT,
      new_tensors: newTensors,
      runs: rss.length,
    }),
  );
  if (growth > LIMIT || newTensors !== 0) process.exitCode = 1;
}
