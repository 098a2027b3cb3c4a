import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { writeFileAtomic } from '../../atomic_file.js';
import { type MetricsRow, readMetrics } from './json_lines_writer.js';
import { reportPage, type ReportState } from './report_page.js';
import type { Writer } from './writer.js';

/** A picture with what the model found in it so far, as PNG. */
export interface ReportPicture {
  readonly caption: string;
  readonly png: Uint8Array;
}

/** Settings of {@link ReportWriter}. */
export interface ReportOptions {
  /** The page. */
  readonly path: string;
  /** `metrics.jsonl` of the run, for what an earlier process measured. */
  readonly metrics: string;
  readonly title: string;
  /** Makes the pictures anew. */
  readonly pictures?: () => Promise<readonly ReportPicture[]>;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** The page is written at most this often while it runs, in milliseconds. */
const PERIOD = 10_000;
/** Of a run's time, pictures take at most this share. */
const PICTURE_SHARE = 0.02;

/** `report.html`: the run's curves and a few predictions in one file that needs no network, renewed while the run goes on. */
export class ReportWriter implements Writer {
  private rows: MetricsRow[] = [];
  private pictures: readonly ReportPicture[] = [];
  private nextPage = -Infinity;
  private nextPictures = -Infinity;
  private chart: { script: string; style: string } | undefined;

  constructor(private readonly options: ReportOptions) {}

  /** Writes the page at once: it is there before the first row is. */
  async open(iteration: number): Promise<void> {
    this.rows = (await readMetrics(this.options.metrics)).filter((row) => row.iteration < iteration);
    await this.page('running');
  }

  async write(iteration: number, scalars: Readonly<Record<string, number>>): Promise<void> {
    this.rows.push({ ...scalars, iteration });
    const now = this.now();
    if (now < this.nextPage) return;
    this.nextPage = now + PERIOD;
    await this.renewPictures();
    await this.page('running');
  }

  async close(error?: unknown): Promise<void> {
    // After an error nobody knows what the model still can.
    if (error !== undefined) return this.page({ error: error instanceof Error ? error.message : String(error) });
    this.nextPictures = -Infinity;
    await this.renewPictures();
    await this.page('ended');
  }

  private async renewPictures(): Promise<void> {
    const start = this.now();
    if (!this.options.pictures || start < this.nextPictures) return;
    this.pictures = await this.options.pictures();
    const end = this.now();
    this.nextPictures = end + (end - start) / PICTURE_SHARE;
  }

  private async page(state: ReportState): Promise<void> {
    this.chart ??= await chartLibrary();
    const { title, path } = this.options;
    await writeFileAtomic(path, reportPage({ title, rows: this.rows, pictures: this.pictures, state, ...this.chart }));
  }

  private now(): number {
    return (this.options.now ?? (() => performance.now()))();
  }
}

/** uPlot's code and style, to lie inside the page. */
async function chartLibrary(): Promise<{ script: string; style: string }> {
  const { resolve } = createRequire(import.meta.url);
  const [script, style] = await Promise.all([
    readFile(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
    readFile(resolve('uplot/dist/uPlot.min.css'), 'utf8'),
  ]);
  return { script, style };
}
