import { progressLine, type ProgressLine } from './progress_line.js';

/** Says how far the work is: `done` of the total, which may be told only now. */
export type Tick = (done: number, total?: number) => void;

/** Shorter work needs no bar. */
const QUIET_MS = 2000;

/**
 * Runs work that may take long; after two seconds a progress line appears.
 * @param total undefined where nobody knows it
 */
export async function withProgress<T>(
  title: string,
  unit: string,
  total: number | undefined,
  work: (tick: Tick) => T | Promise<T>,
): Promise<T> {
  const start = Date.now();
  const line: ProgressLine = await progressLine(title, unit);
  try {
    return await work((done, of = total) => {
      if (Date.now() - start > QUIET_MS) line.update(done, of);
    });
  } finally {
    line.stop();
  }
}
