import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';
import type { CocoDataset } from '../../src/data/coco/coco_types.js';

const folder = mkdtempSync(join(tmpdir(), 'dataset-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** Exit code and standard output of `maskrcnn dataset ...`. */
async function run(...args: string[]): Promise<{ code: number; out: string }> {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  const code = await runCommandLine(['dataset', ...args], { out: (t) => (out += t), err: (t) => (out += t) });
  vi.restoreAllMocks();
  const exit = code || Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  return { code: exit, out };
}
const json = async (...args: string[]): Promise<Record<string, unknown> & { code: number }> => {
  const { code, out } = await run(...args, '--json');
  return { code, ...(JSON.parse(out) as Record<string, unknown>) };
};
const read = (name: string) => JSON.parse(readFileSync(at(name), 'utf8')) as CocoDataset;

const data: CocoDataset = {
  images: Array.from({ length: 10 }, (_, i) => ({ id: i + 1, file_name: `${i}.png`, width: 60, height: 40 })),
  categories: [
    { id: 3, name: 'cat </script>' },
    { id: 7, name: 'dog' },
  ],
  annotations: Array.from({ length: 10 }, (_, i) => ({
    id: i + 1,
    image_id: i + 1,
    category_id: i % 2 ? 7 : 3,
    bbox: [10, 5, 20, 20],
    area: 400,
    iscrowd: 0,
    segmentation: [[10, 5, 30, 5, 30, 25, 10, 25]],
  })),
};

beforeAll(async () => {
  writeFileSync(at('good.json'), JSON.stringify(data));
  const bad = structuredClone(data);
  bad.annotations[0]!.bbox = [10, 5, 0, 20];
  bad.annotations[1]!.image_id = 99;
  (bad.annotations[2] as unknown as Record<string, unknown>)['category_id'] = 'x';
  writeFileSync(at('bad.json'), JSON.stringify(bad));
  const png = await sharp({ create: { width: 60, height: 40, channels: 3, background: 'green' } })
    .png()
    .toBuffer();
  for (let i = 0; i < 9; i++) writeFileSync(at(`${i}.png`), png);
});

describe('maskrcnn dataset', () => {
  it('check: exit code 1 for errors, 0 for none and for a mended copy', async () => {
    expect(await json('check', at('good.json'))).toMatchObject({ code: 0, errors: 0, images: 10, annotations: 10, issues: [] });
    const found = await json('check', at('bad.json'));
    expect(found).toMatchObject({ code: 1, errors: 3 });
    expect((found['issues'] as { kind: string }[]).map((i) => i.kind)).toEqual([
      'bad_record',
      'bad_box',
      'orphan_image',
      'empty_image',
      'empty_image',
    ]);
    expect((await run('check', at('bad.json'))).out).toMatch(/bad_box +error +1\n/);
    expect(await json('check', at('bad.json'), '--fix', at('fixed.json'))).toMatchObject({ code: 0 });
    expect(await json('check', at('fixed.json'))).toMatchObject({ code: 0, errors: 0, annotations: 8 });
    expect(read('fixed.json').annotations[0]!.bbox).toEqual([10, 5, 20, 20]);
  });

  it('check --images: finds the picture that is not there', async () => {
    const { code, issues } = (await json('check', at('good.json'), '--images', folder)) as {
      code: number;
      issues: { kind: string; imageId: number }[];
    };
    expect(code).toBe(1);
    expect(issues.map((i) => [i.kind, i.imageId])).toEqual([['missing_image', 10]]);
  });

  it('stats: counts and coverage', async () => {
    expect(await json('stats', at('good.json'))).toMatchObject({
      code: 0,
      objects: 10,
      small: 10,
      classes: [
        { id: 3, objects: 5 },
        { id: 7, objects: 5 },
      ],
    });
    expect((await run('stats', at('good.json'))).out).toMatch(/dog +5 +5 +#{30}\n/);
    expect((await run('stats', at('good.json'), '--min-size', 'x')).code).toBe(1);
  });

  it('browse: a page that holds everything, and that no name can break', async () => {
    const report = await json('browse', at('good.json'), '--images', folder, '--output', at('page.html'));
    expect(report).toMatchObject({ code: 0, images: 10, unreadable: 1 });
    const page = readFileSync(at('page.html'), 'utf8');
    expect(page.match(/data:image\/jpeg;base64,/g)).toHaveLength(9);
    expect(page).toContain('M10 5L30 5L30 25L10 25Z');
    expect(page).not.toMatch(/(src|href)="?https?:/);
    // The script ends once, where it should: a class name must not end it.
    expect(page.match(/<\/script>/g)).toHaveLength(1);
    const few = await json('browse', at('good.json'), '--images', folder, '--output', at('few.html'), '--limit', '3');
    expect(few).toMatchObject({ images: 3 });
  });

  it('split, merge, remap', async () => {
    const split = await json(
      'split',
      at('good.json'),
      '--output',
      at('parts'),
      '--parts',
      'train=0.6,val=0.2,test=0.2',
      '--seed',
      '3',
    );
    expect((split['parts'] as { images: number }[]).map((p) => p.images)).toEqual([6, 2, 2]);
    for (const part of ['val', 'test'])
      expect(new Set(read(`parts/${part}.json`).annotations.map((a) => a.category_id))).toEqual(new Set([3, 7]));
    const merged = await json(
      'merge',
      at('parts/train.json'),
      at('parts/val.json'),
      '--output',
      at('merged.json'),
      '--prefix',
      'a',
      'b/',
    );
    expect(merged).toMatchObject({ code: 0, images: 8, annotations: 8 });
    expect(new Set(read('merged.json').images.map((i) => i.file_name[0]))).toEqual(new Set(['a', 'b']));
    const remapped = await json(
      'remap',
      at('good.json'),
      '--output',
      at('remapped.json'),
      '--map',
      'dog=animal',
      'cat </script>=animal',
    );
    expect(remapped).toMatchObject({ code: 0, annotations: 10, classes: ['animal'] });
    expect((await run('remap', at('good.json'), '--output', at('r.json'), '--map', 'cow=x')).out).toContain(
      'There is no class "cow"',
    );
    expect((await run('split', at('good.json'), '--output', at('p'), '--parts', 'train')).code).toBe(1);
  });

  it('export and import', async () => {
    expect(await json('export', at('good.json'), '--to', 'yolo', '--output', at('yolo'))).toMatchObject({
      code: 0,
      files: 10,
      warnings: [],
    });
    rmSync(at('yolo/labels/9.txt'));
    const imported = await json(
      'import',
      at('yolo/labels'),
      '--from',
      'yolo',
      '--images',
      folder,
      '--classes',
      at('yolo/data.yaml'),
      '--output',
      at('back.json'),
    );
    expect(imported).toMatchObject({ code: 0, images: 9, annotations: 9, classes: ['cat </script>', 'dog'] });
    expect(read('back.json').annotations[0]).toMatchObject({ bbox: [10, 5, 20, 20], area: 400 });
    expect((await run('import', at('yolo/labels'), '--from', 'yolo', '--output', at('x.json'))).out).toContain('needs --images');
    expect((await run('import', at('yolo'), '--from', 'cvat', '--output', at('x.json'))).code).toBe(1);
  });
});
