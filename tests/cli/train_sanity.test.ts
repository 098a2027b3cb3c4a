import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { runCommandLine } from '../../src/cli/program.js';
import { nativeReason } from '../backends/native.js';
import { blockCommands, smallCommand } from '../docs/training_guide.js';
import { TINY_CONFIG, writeTinyData } from './tiny_data.js';

const folder = mkdtempSync(join(tmpdir(), 'sanity-'));
const before = process.cwd();
beforeAll(() => {
  writeTinyData(folder);
  // Norms over the batch learn from random weights within a few hundred steps.
  writeFileSync(join(folder, 'tiny.yaml'), TINY_CONFIG.replaceAll('NORM: GN', 'NORM: BN'));
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

const missing = nativeReason();

describe.skipIf(missing)(`train --sanity${missing ? ` (${missing})` : ''}`, () => {
  it('as the guide has it, with --auto, learns four pictures by heart from random weights', { timeout: 600_000 }, async () => {
    const command = blockCommands.find((line) => line.includes('--sanity'))!;
    expect(command).toContain('--auto');
    let [out, err] = ['', ''];
    const spies = [
      vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true)),
      vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true)),
    ];
    process.exitCode = 0;
    // A length that is given does not make the sanity run shorter.
    const args = [...smallCommand(command, 'tensorflow'), '--epochs', '1', '--json'];
    const code = await runCommandLine(args, { out: () => {}, err: (text) => (err += text) });
    for (const spy of spies) spy.mockRestore();
    expect(code, out + err).toBe(0);
    const result = JSON.parse(out.trim().split('\n').at(-1)!) as { passed: boolean; iterations: number; best: number };
    expect(result.passed, err).toBe(true);
    expect(result.best).toBeGreaterThanOrEqual(90);
    expect(result.iterations).toBeLessThan(1500);
    expect(process.exitCode).toBe(0);
    // The recipe is the whole set's; what learning by heart needs stands above it.
    expect(err).toMatch(/SOLVER\.MAX_ITER=3 {2}1 passes over 6 pictures/);
    expect(err).toMatch(
      /^sanity: 4 pictures at a short side of 64, without augmentation, AdamW at 0\.001, at most 1500 steps; the recipe's/m,
    );
    const config = parse(readFileSync(join(folder, 'runs/first/sanity/config.yaml'), 'utf8')) as Record<string, object>;
    expect(config).toMatchObject({
      INPUT: { RANDOM_FLIP: 'none', MIN_SIZE_TRAIN: [64], MIN_SIZE_TEST: 64 },
      SOLVER: { OPTIMIZER: 'ADAMW', BASE_LR: 0.001, MAX_ITER: 1500, STEPS: [] },
    });
    const four = JSON.parse(readFileSync(join(folder, 'runs/first/sanity/pictures.json'), 'utf8')) as { images: unknown[] };
    expect(four.images).toHaveLength(4);
    // It is no run that could be resumed.
    expect(existsSync(join(folder, 'runs/first/data.json'))).toBe(false);
  });
});
