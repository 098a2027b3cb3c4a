import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';
import { TINY_CONFIG, writeTinyData } from '../cli/tiny_data.js';

const guide = readFileSync(fileURLToPath(new URL('../../docs/train_your_own_data.md', import.meta.url)), 'utf8');
const commands = [...guide.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((m) => m[1]!.trim().split('\n'));
const folder = mkdtempSync(join(tmpdir(), 'guide-'));
const before = process.cwd();

beforeAll(() => {
  writeTinyData(folder);
  // The published model stands for any config: here a very small one, a few steps long, and random weights in the place of the download.
  writeFileSync(join(folder, 'tiny.yaml'), TINY_CONFIG);
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

/** The guide's command for the small set. */
function small(command: string): string[] {
  const words = command.split(' ').slice(1);
  const zoo = 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x';
  const args = words.map((word, i) => (word !== zoo ? word : words[i - 1] === '--weights' ? 'none' : 'tiny.yaml'));
  if (['train', 'predict', 'evaluate'].includes(args[0]!)) args.push('--device', 'wasm');
  return args.includes('--sanity') && !args.includes('--weights') ? [...args, '--weights', 'none'] : args;
}

describe('the guide to training', () => {
  it('has the commands that the test knows', () => {
    expect(commands.map((command) => command.split(' ').slice(0, 3).join(' '))).toEqual([
      'maskrcnn dataset check',
      'maskrcnn dataset stats',
      'maskrcnn train --config',
      'maskrcnn train --config',
      'maskrcnn train --resume',
      'maskrcnn predict images',
      'maskrcnn evaluate --config',
    ]);
  });

  it.each(commands.filter((command) => !command.includes('--sanity')))('%s', { timeout: 600_000 }, async (command) => {
    const out = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const errors: string[] = [];
    process.exitCode = 0;
    try {
      const code = await runCommandLine(small(command), { out: () => {}, err: (text) => errors.push(text) });
      expect(errors.join('')).toBe('');
      expect(code).toBe(0);
      expect(process.exitCode).toBe(0);
    } finally {
      process.exitCode = 0;
      out.mockRestore();
      log.mockRestore();
    }
  });
});
