import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ReportWriter } from '../../../src/engine/writers/report_writer.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const path = () => join(folder, 'report.html');
const page = () => readFile(path(), 'utf8');
const png = encode({ width: 2, height: 1, data: new Uint8Array([255, 0, 0, 0, 0, 255]), channels: 3, depth: 8 });

interface Charts {
  title: string;
  names: string[];
  data: (number | null)[][];
}

const chartsOf = (html: string) => JSON.parse(/^const charts = (.*);$/m.exec(html)![1]!) as Charts[];

describe('ReportWriter', () => {
  it('writes the page before the first row, renews it every ten seconds, and pictures in a fiftieth of the time', async () => {
    let clock = 0;
    let drawn = 0;
    const writer = new ReportWriter({
      path: path(),
      metrics: join(folder, 'metrics.jsonl'),
      title: 'runs/<first>',
      now: () => clock,
      pictures: async () => {
        drawn++;
        clock += 1000;
        return [{ caption: `a.png, drawn ${drawn}`, png }];
      },
    });
    await writer.open(0);
    expect(await page()).toMatch(/<h1>runs\/&lt;first><\/h1>\n<p>Running: no iteration yet\.<\/p>/);
    expect(drawn).toBe(0);

    await writer.write(0, { total_loss: 3, eta_seconds: 61 });
    expect(await page()).toMatch(/Running: iteration 0, about 2 minutes left\./);
    expect(await page()).toContain('<meta http-equiv="refresh" content="30">');
    expect(await page()).toContain(`<img src="data:image/png;base64,${Buffer.from(png).toString('base64')}"`);
    expect(drawn).toBe(1);

    // 1 s after the page: nothing yet. 10 s: the page, but pictures that took 1 s come again after 50 s.
    clock = 1_000;
    await writer.write(1, { total_loss: 2 });
    expect(await page()).toMatch(/Running: iteration 0,/);
    clock = 10_000;
    await writer.write(2, { total_loss: 1, 'segm/AP': 5 });
    expect(await page()).toMatch(/Running: iteration 2\./);
    expect(drawn).toBe(1);
    clock = 51_000;
    await writer.write(3, { total_loss: 0.5 });
    expect(drawn).toBe(2);
    expect(await page()).toContain('a.png, drawn 2');
    expect(chartsOf(await page()).slice(0, 2)).toEqual([
      {
        title: 'Losses',
        names: ['total_loss'],
        data: [
          [0, 1, 2, 3],
          [3, 2, 1, 0.5],
        ],
      },
      { title: 'Average precision, percent', names: ['segm/AP'], data: [[2], [5]] },
    ]);

    clock = 52_000;
    await writer.close();
    const last = await page();
    expect(last).toMatch(/<p>Ended: iteration 3\.<\/p>/);
    expect(last).not.toContain('http-equiv="refresh"');
    expect(last).toContain('a.png, drawn 3');
    expect(last).not.toMatch(/(src|href)="https?:/);
  });

  it('says what ended a run that failed, without asking the model again', async () => {
    let drawn = 0;
    const pictures = async () => {
      drawn++;
      return [];
    };
    const writer = new ReportWriter({ path: path(), metrics: join(folder, 'metrics.jsonl'), title: 'run', pictures });
    await writer.open(0);
    await writer.write(4, { total_loss: 3 });
    await writer.close(new Error('loss_cls is NaN, after a < b'));
    expect(drawn).toBe(1);
    expect(await page()).toMatch(/<p>Ended by an error: iteration 4\.<\/p>\n<pre>loss_cls is NaN, after a &lt; b<\/pre>/);
    expect(await page()).not.toContain('http-equiv="refresh"');
  });

  it('of a run that goes on shows what was measured before, without what comes again', async () => {
    const metrics = join(folder, 'metrics.jsonl');
    await writeFile(metrics, '{"iteration": 9, "total_loss": 2}\n{"iteration": 19, "total_loss": 1}\n');
    const writer = new ReportWriter({ path: path(), metrics, title: 'run' });
    await writer.open(10);
    expect(chartsOf(await page())).toEqual([{ title: 'Losses', names: ['total_loss'], data: [[9], [2]] }]);
  });
});
