import { progressLine, type ProgressLine } from './progress_line.js';

/** Says how far the work is: `done` of the total. */
export type Tick = (done: number) => void;

/** Shorter work needs no bar. */
const QUIET_MS = 2000;

/** Runs work that may take long; after two seconds a progress line appears. */
export async function withProgress<T>(title: string, unit: string, total: number, work: (tick: Tick) => Promise<T>): Promise<T> {
  const start = Date.now();
  const line: ProgressLine = await progressLine(title, unit);
  try {
    return await work((done) => {
      if (Date.now() - start > QUIET_MS) line.update(done, total);
    });
  } finally {
    line.stop();
  }
}
