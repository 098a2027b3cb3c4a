import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { register } from '../../src/cli/evaluate.js';
import type { EvaluationReport } from '../../src/evaluation/evaluation_report.js';
import { ArgumentError, DatasetError } from '../../src/errors.js';

const folder = mkdtempSync(join(tmpdir(), 'evaluate-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

const truth = {
  images: [{ id: 1, file_name: 'a', height: 10, width: 100 }],
  categories: [
    { id: 9, name: 'dog' },
    { id: 4, name: 'cat' },
  ],
  annotations: [
    { id: 1, image_id: 1, category_id: 4, bbox: [0, 0, 4, 4], area: 16, iscrowd: 0 },
    { id: 2, image_id: 1, category_id: 9, bbox: [20, 0, 4, 4], area: 16, iscrowd: 0 },
  ],
};
const results = [
  { image_id: 1, category_id: 4, bbox: [0, 0, 4, 4], score: 0.9 },
  { image_id: 1, category_id: 4, bbox: [20, 0, 4, 4], score: 0.6 },
];

async function run(...flags: string[]): Promise<string> {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed += String(text)), true));
  const program = new Command().exitOverride();
  register(program);
  await program.parseAsync(['evaluate', ...flags], { from: 'user' });
  return printed;
}

const file = (name: string, content: unknown) => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

describe('maskrcnn evaluate --results', () => {
  const gt = file('gt.json', truth);
  const dt = file('dt.json', results);

  it('prints tables and writes them', async () => {
    const output = join(folder, 'out');
    const text = await run('--results', dt, '--json-file', gt, '--output', output);
    expect(text).toContain('1 images, 2 objects, 2 detections');
    expect(text).toMatch(/cat +1 +100\.0 +100\.0 +50\.0 +100\.0 +66\.7 +100\.0 +0\.900/);
    expect(text).toMatch(/dog +1 +0\.0 +0\.0 +- +0\.0 +0\.0 +- +-/);
    expect(text).toMatch(/dog +1 +0 +0\n/);
    expect(readFileSync(join(output, 'evaluation.txt'), 'utf8')).toBe(text);
    const report = JSON.parse(readFileSync(join(output, 'evaluation.json'), 'utf8')) as EvaluationReport;
    expect(report.tasks.bbox!.summary['AP']).toBeCloseTo(0.5, 12);
    expect(report.tasks.bbox!.summary['APl']).toBeNull();
    expect(report.tasks.bbox!.confusion).toEqual({
      labels: ['cat', 'dog', 'background'],
      counts: [
        [1, 0, 0],
        [1, 0, 0],
        [0, 0, 0],
      ],
    });
  });

  it('prints JSON', async () => {
    const report = JSON.parse(await run('--results', dt, '--json-file', gt, '--json', '--score', '0.7')) as EvaluationReport;
    expect(report.scoreThreshold).toBe(0.7);
    expect(report.tasks.bbox!.classes[0]).toMatchObject({ name: 'cat', at: { precision: 1, recall: 1 } });
  });

  it('writes the page beside the numbers', async () => {
    const output = join(folder, 'page');
    await run('--results', dt, '--json-file', gt, '--output', output, '--images', folder);
    const page = readFileSync(join(output, 'evaluation.html'), 'utf8');
    expect(page).toContain('uPlot');
    expect(page).toContain('1 right, 0 false alarms, 0 missed, 1 of another class');
    const json = JSON.parse(readFileSync(join(output, 'evaluation.json'), 'utf8')) as EvaluationReport;
    expect(json.tasks.bbox!.curves.recall).toHaveLength(101);
  });

  it('says that there is nothing to evaluate', async () => {
    expect(await run('--results', file('empty.json', []), '--json-file', gt)).toContain('holds no detections');
  });

  it('names what is wrong', async () => {
    await expect(run('--results', dt, '--json-file', dt)).rejects.toThrow(/dt.json is a list/);
    await expect(run('--results', file('bad.json', '[{'), '--json-file', gt)).rejects.toThrow(DatasetError);
    await expect(run('--results', dt, '--json-file', gt, '--score', 'x')).rejects.toThrow(ArgumentError);
  });
});
