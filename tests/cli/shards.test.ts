import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { runCommandLine } from '../../src/cli/program.js';
import type { CocoDataset, CocoResult } from '../../src/data/coco/coco_types.js';
import type { EvaluationReport } from '../../src/evaluation/evaluation_report.js';
import { partName } from '../../src/sharding/part_file.js';

const fixture = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/', import.meta.url));
const model = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/model', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'shards-'));
const pictures = join(folder, 'pictures');
const truth = join(folder, 'truth.json');
const COUNT = 10;

/** Ten pictures, in the file not by id; Detectron2's boxes of the first picture, a little aside, as the truth of those that show it. */
beforeAll(async () => {
  const golden = JSON.parse(readFileSync(join(fixture, 'golden.json'), 'utf8')) as {
    single: { final: { height: number; width: number }[] };
    batch: { final: { height: number; width: number }[] };
  };
  const { tensors } = await readSafetensors(join(fixture, 'golden.safetensors'));
  const boxes = tensors.get('single.final.0.pred_boxes')!.toFloat32();
  const classes = tensors.get('single.final.0.pred_classes')!.toFloat32();
  const dataset: CocoDataset = { images: [], annotations: [], categories: [{ id: 3, name: 'rectangle' }, { id: 5, name: 'circle' }, { id: 7, name: 'triangle' }] }; // prettier-ignore
  for (let i = 0; i < COUNT; i++) {
    const name = `${i}.png`;
    cpSync(join(fixture, 'inputs', `${i % 2}.png`), join(pictures, name));
    const png = readFileSync(join(pictures, name));
    const id = ((i * 7) % COUNT) + 20;
    dataset.images.push({ id, file_name: name, width: png.readUInt32BE(16), height: png.readUInt32BE(20) });
    if (i % 2 === 1) continue;
    for (let k = 0; k < classes.length; k++) {
      const [x0, y0, x1, y1] = boxes.subarray(k * 4, k * 4 + 4);
      const bbox = [x0! + i, y0!, x1! - x0!, y1! - y0!];
      const [x, y, w, h] = bbox as [number, number, number, number];
      dataset.annotations.push({ id: dataset.annotations.length + 1, image_id: id, category_id: [3, 5, 7][classes[k]!]!, bbox, area: w * h, iscrowd: 0, segmentation: [[x, y, x + w, y, x + w, y + h, x, y + h]] }); // prettier-ignore
    }
  }
  expect(golden.single.final[0]!.height).toBe(dataset.images[0]!.height);
  writeFileSync(truth, JSON.stringify(dataset));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = 0;
});

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
  vi.spyOn(console, 'log').mockImplementation((text) => void (out += `${String(text)}\n`));
  vi.spyOn(console, 'error').mockImplementation((text) => void (err += `${String(text)}\n`));
  process.exitCode = 0;
  const code = await runCommandLine(args, { out: (text) => (out += text), err: (text) => (err += text) });
  return { code: code || Number(process.exitCode), out, err };
}

/** Starts a shard as a process of its own and kills it as soon as it has written a record. */
async function killed(part: string, args: string[]): Promise<void> {
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const records = () => (existsSync(part) ? readFileSync(part, 'utf8').split('\n').length - 2 : 0);
  while (records() < 1 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGKILL');
  await ended;
  expect(records()).toBeGreaterThanOrEqual(1);
}

const read = (...path: string[]) => readFileSync(join(folder, ...path), 'utf8');

describe.each([['1'], ['2']])('evaluate --shard with batches of %s', (batch) => {
  const name = `batch-${batch}`;
  const evaluate = (output: string, ...more: string[]) => [
    'evaluate',
    ...['--config', join(model, 'config.yaml'), '--weights', join(model, 'model.safetensors')],
    ...['--json-file', truth, '--images', pictures, '--device', 'wasm', '--batch', batch],
    ...['--output', join(folder, output), ...more],
  ];
  const parts = `${name}-parts`;
  const part = (index: number) => join(folder, parts, partName({ index, count: 3 }));

  it('three shards, one killed and run again, give the bytes of one run', async () => {
    const whole = await run(...evaluate(`${name}-whole`));
    expect(whole).toMatchObject({ code: 0 });
    await killed(part(1), evaluate(parts, '--shard', '1/3'));
    // What a kill in the middle of a write leaves.
    appendFileSync(part(1), '{"image":2');
    expect(await run('merge', join(folder, parts), '--json-file', truth)).toMatchObject({
      code: 1,
      err: expect.stringContaining('lacks part_0000_of_0003.jsonl, part_0002_of_0003.jsonl: run the missing shards') as string,
    });
    for (const index of [0, 2]) {
      const shard = await run(...evaluate(parts, '--shard', `${index}/3`));
      expect(shard.out).toMatch(new RegExp(`^shard ${index} of 3: \\d pictures in `));
    }
    const done = new Set(readFileSync(part(1), 'utf8').split('\n').slice(1, -1));
    if (done.size < (batch === '1' ? 3 : 4))
      expect((await run('merge', join(folder, parts), '--json-file', truth)).err).toMatch(/lacks \d of 10 images \(image_id 2\d/);
    vi.stubEnv('SLURM_ARRAY_TASK_ID', '1');
    const again = await run(...evaluate(parts, '--shard', 'auto/3', '--json'));
    vi.unstubAllEnvs();
    // By batches in turn: of 10 pictures the second shard has 3 in batches of 1, and 4 in batches of 2.
    expect(JSON.parse(again.out)).toEqual({ shard: { index: 1, count: 3 }, path: part(1), images: batch === '1' ? 3 : 4, before: done.size }); // prettier-ignore
    const bytes = readFileSync(part(1));
    expect(await run(...evaluate(parts, '--shard', '1/3'))).toMatchObject({ code: 0 });
    expect(readFileSync(part(1))).toEqual(bytes);

    const merged = await run('merge', join(folder, parts), '--json-file', truth, '--images', pictures);
    expect(merged.code).toBe(0);
    expect(merged.out).toBe(whole.out);
    for (const file of ['coco_instances_results.json', 'evaluation.json', 'evaluation.txt', 'evaluation.html'])
      expect(read(parts, file) === read(`${name}-whole`, file), file).toBe(true);
    const report = JSON.parse(read(parts, 'evaluation.json')) as EvaluationReport;
    expect(report.images).toBe(COUNT);
    const { AP } = report.tasks.bbox!.summary;
    expect(AP).toBeGreaterThan(0.3);
    expect(AP).toBeLessThan(0.999);
  }, 300_000);

  it('refuses to mix models, settings and data sets', async () => {
    const other = await run(...evaluate(parts, '--shard', '0/3', 'MODEL.ROI_HEADS.SCORE_THRESH_TEST=0.3'));
    expect(other.code).toBe(1);
    expect(other.err).toMatch(/do not belong together: configuration is/);
    const dataset = JSON.parse(read('truth.json')) as CocoDataset;
    dataset.images[0]!.file_name = '1.png';
    writeFileSync(join(folder, 'other.json'), JSON.stringify(dataset));
    const elsewhere = await run('merge', join(folder, parts), '--json-file', join(folder, 'other.json'));
    expect(elsewhere.err).toMatch(/of another annotation file/);
    expect((await run('merge', join(folder, parts))).err).toMatch(/--json-file/);
    expect((await run('merge', join(folder, parts, 'none'))).err).toMatch(/holds no parts/);
    expect((await run(...evaluate(parts, '--shard', '3/3'))).err).toMatch(/shards count from 0/);
  });
});

describe('predict --shard', () => {
  const predict = (output: string, format: string, ...more: string[]) => [
    'predict',
    join(pictures, '*.png'),
    ...['--model', model, '--device', 'wasm', '--format', format, '--output', join(folder, output), ...more],
  ];

  it('the parts make the COCO file of one run; a picture that failed is tried again', async () => {
    expect(await run(...predict('coco-whole', 'coco'))).toMatchObject({ code: 0 });
    const fourth = readFileSync(join(pictures, '3.png'));
    writeFileSync(join(pictures, '3.png'), fourth.subarray(0, 100));
    const codes: number[] = [];
    for (const index of [0, 1, 2]) codes.push((await run(...predict('coco-parts', 'coco', '--shard', `${index}/3`))).code);
    expect(codes).toEqual([1, 0, 0]);
    const incomplete = await run('merge', join(folder, 'coco-parts'));
    expect(incomplete).toMatchObject({ code: 1 });
    expect(incomplete.out).toContain('9 of 10 pictures done on wasm, 1 failed');
    writeFileSync(join(pictures, '3.png'), fourth);
    const again = await run(...predict('coco-parts', 'coco', '--shard', '0/3'));
    expect(again.out).toContain('shard 0 of 3: 4 pictures (3 were done before)');
    expect(await run('merge', join(folder, 'coco-parts'))).toMatchObject({ code: 0 });
    expect(read('coco-parts', 'coco_results.json')).toBe(read('coco-whole', 'coco_results.json'));
    expect((JSON.parse(read('coco-parts', 'coco_results.json')) as CocoResult[]).length).toBeGreaterThan(COUNT);
  }, 120_000);

  it('draws each picture once', async () => {
    for (const index of [0, 1]) await run(...predict('drawn', 'png', '--shard', `${index}/2`));
    const merged = await run('merge', join(folder, 'drawn'), '--json');
    const { images } = JSON.parse(merged.out) as { images: { file: string; output: string }[] };
    expect(images.map(({ file }) => basename(file))).toEqual(Array.from({ length: COUNT }, (_, i) => `${i}.png`));
    expect(images.every(({ output }) => existsSync(output))).toBe(true);
    rmSync(images[0]!.output);
    expect((await run(...predict('drawn', 'png', '--shard', '0/2'))).out).toContain('5 pictures (5 were done before)');
    expect(existsSync(images[0]!.output)).toBe(false);
  }, 120_000);
});
