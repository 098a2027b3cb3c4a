import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';
import { TINY_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { blockCommands, inlineCommands, smallCommand } from './training_guide.js';

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

async function succeeds(args: string[]): Promise<void> {
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(() => true),
    vi.spyOn(console, 'log').mockImplementation(() => {}),
  ];
  const errors: string[] = [];
  process.exitCode = 0;
  try {
    const code = await runCommandLine(args, { out: () => {}, err: (text) => errors.push(text) });
    expect(errors.join('')).toBe('');
    expect(code).toBe(0);
    expect(process.exitCode).toBe(0);
  } finally {
    process.exitCode = 0;
    for (const spy of spies) spy.mockRestore();
  }
}

describe('the guide to training', () => {
  it('has the commands that the tests know', () => {
    expect(blockCommands.map((command) => command.split(' ').slice(0, 3).join(' '))).toEqual([
      'maskrcnn dataset check',
      'maskrcnn dataset stats',
      'maskrcnn train --config',
      'maskrcnn train --config',
      'maskrcnn train --resume',
      'maskrcnn predict images',
      'maskrcnn evaluate --config',
    ]);
    // tests/cli/train_sanity.test.ts runs this one, where the backend that it needs is tested.
    expect(blockCommands.filter((command) => command.includes('--sanity'))).toHaveLength(1);
    const runnable = inlineCommands.filter((command) => command !== 'maskrcnn convert');
    expect(runnable.map((command) => command.replace(/[=\d.]+$/, ''))).toEqual([
      'maskrcnn info zoo',
      // tests/data/annotations/keypoint_flip.test.ts sets these.
      'INPUT.KEYPOINT_FLIP_PAIRS=[["port","starboard"]]',
      'npm run bench -- train_repeat --backend tensorflow',
      'TEST.VALIDATION_LOSS_IMAGES',
      'TEST.PATIENCE',
      'maskrcnn predict ... --score ',
      'maskrcnn train --resume --output runs/first SOLVER.BASE_LR',
      'SOLVER.IMS_PER_BATCH=1 SOLVER.ACCUMULATE',
      'MODEL.BACKBONE.FREEZE_AT',
      'MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE',
    ]);
  });

  it.each(blockCommands.filter((command) => !command.includes('--sanity')))('%s', { timeout: 600_000 }, (command) =>
    succeeds(smallCommand(command, 'wasm')),
  );

  const commands = inlineCommands.filter((command) => /^maskrcnn \w+ /.test(command));
  it.each(commands)('in the text: %s', { timeout: 600_000 }, (command) => {
    // What is left out stands in the command above.
    const whole = command.replace(' ... ', ' images --model runs/first --output found ');
    return succeeds(smallCommand(whole, 'wasm'));
  });

  it('gives settings that a run takes', { timeout: 600_000 }, async () => {
    const settings = inlineCommands.filter((command) => /^[A-Z]/.test(command)).flatMap((command) => command.split(' '));
    const train = smallCommand(
      blockCommands.find((command) => command.includes('--val-json'))!,
      'wasm',
    );
    await succeeds([...train.map((arg) => (arg === 'runs/first' ? 'runs/settings' : arg)), ...settings, 'SOLVER.MAX_ITER=2']);
  });

  it('names the benchmark that measures how close two runs are', () => {
    const [command] = inlineCommands.filter((line) => line.startsWith('npm run'));
    const script = /^npm run bench -- (\w+) /.exec(command!)![1];
    expect(fileURLToPath(new URL(`../../benchmarks/${script}.ts`, import.meta.url))).toSatisfy((path: string) =>
      existsSync(path),
    );
  });
});
