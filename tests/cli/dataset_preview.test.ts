import { rmSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';
import { writeDataset } from '../data/loader/fixture.js';

let files: Awaited<ReturnType<typeof writeDataset>>;
beforeAll(async () => {
  files = await writeDataset(5);
});
afterAll(() => rmSync(files.folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

async function preview(...args: string[]): Promise<{ code: number; out: string }> {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  const all = ['dataset', 'preview', files.json, '--images', files.images, ...args];
  const code = await runCommandLine(all, { out: (t) => (out += t), err: (t) => (out += t) });
  vi.restoreAllMocks();
  return { code, out };
}

it('writes a sheet of samples and says what is on it', async () => {
  const output = join(files.folder, 'sheet.png');
  const sizes = ['--set', 'INPUT.MIN_SIZE_TRAIN=[60]', '--set', 'INPUT.RANDOM_FLIP=none'];
  const { code, out } = await preview('--output', output, '--count', '5', '--columns', '3', '--size', '100', '--json', ...sizes);
  expect(code).toBe(0);
  const report = JSON.parse(out) as {
    pictures: number;
    withoutObjects: number;
    samples: { height: number; width: number; objects: number }[];
  };
  expect([report.pictures, report.withoutObjects]).toEqual([4, 1]);
  expect(report.samples.length).toBe(5);
  for (const s of report.samples) {
    expect(Math.min(s.height, s.width)).toBe(60);
    expect(s.objects).toBe(2);
  }
  // Three columns and two rows of 100 pixels, 8 pixels between and around; the sixth place stays white.
  const { data, info } = await sharp(output).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([332, 224, 3]);
  const last = (120 * 332 + 230) * 3;
  expect([...data.subarray(last, last + 3)]).toEqual([255, 255, 255]);
  expect(data.subarray((20 * 332 + 20) * 3, (20 * 332 + 100) * 3).some((v) => v !== 255)).toBe(true);
});

it('makes mosaics and pasted objects on request, and refuses what it cannot do', async () => {
  const output = join(files.folder, 'mixed.png');
  const { code, out } = await preview(
    '--output',
    output,
    '--count',
    '2',
    '--mosaic',
    '1',
    '--copy-paste',
    '1',
    '--json',
    '--set',
    'INPUT.MIN_SIZE_TRAIN=[50]',
  );
  expect(code).toBe(0);
  for (const s of (JSON.parse(out) as { samples: { height: number; width: number }[] }).samples)
    expect([s.height, s.width]).toEqual([50, 50]);
  expect((await preview('--output', 'sheet.jpg')).out).toContain('--output must end in .png');
  expect((await preview('--output', output, '--mosaic', '2')).out).toContain('"2" is not a number from 0 to 1');
});
