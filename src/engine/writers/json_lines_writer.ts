import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { explainWriteError, writeFileAtomic } from '../../atomic_file.js';
import type { Writer } from './writer.js';

/** One row of `metrics.jsonl`. */
export type MetricsRow = { readonly iteration: number } & Readonly<Record<string, number>>;

/** `metrics.jsonl`: a JSON object a line, as Detectron2's `metrics.json`. Numbers that JSON has no word for are left out. */
export class JsonLinesWriter implements Writer {
  constructor(private readonly path: string) {}

  async open(iteration: number): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true });
    const rows = (await readMetrics(this.path)).filter((row) => row.iteration < iteration);
    await writeFileAtomic(this.path, rows.map(line).join(''));
  }

  async write(iteration: number, scalars: Readonly<Record<string, number>>): Promise<void> {
    const finite = Object.entries(scalars).filter(([, value]) => Number.isFinite(value));
    try {
      await appendFile(this.path, line({ ...Object.fromEntries(finite), iteration }));
    } catch (error) {
      throw explainWriteError(this.path, error);
    }
  }
}

const line = (row: MetricsRow): string => `${JSON.stringify(row)}\n`;

/** The rows of a `metrics.jsonl`; none where there is no file. A last line that a crash cut is left out. */
export async function readMetrics(path: string): Promise<MetricsRow[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text
    .split('\n')
    .slice(0, -1)
    .map((row) => JSON.parse(row) as MetricsRow);
}
