import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { TINY_CONFIG, writeTinyData } from '../cli/tiny_data.js';

const folder = mkdtempSync(join(tmpdir(), 'plain-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('examples/plain_train.ts', () => {
  it('trains a few iterations and writes a model', { timeout: 600_000 }, async () => {
    const { json, images } = writeTinyData(folder);
    const config = join(folder, 'tiny.yaml');
    writeFileSync(config, TINY_CONFIG);
    const output = join(folder, 'model.safetensors');
    const script = fileURLToPath(new URL('../../examples/plain_train.ts', import.meta.url));
    const args = ['--import', 'tsx', script, config, json, images, output, '3', 'wasm'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, number>);
    expect(rows.map((row) => row.iteration)).toEqual([0, 1, 2]);
    // Before anything is learnt: a coin toss of the masks, and of object or not.
    expect(rows[0]!.loss_mask).toBeCloseTo(Math.log(2), 1);
    expect(rows[0]!.loss_rpn_cls).toBeCloseTo(Math.log(2), 1);
    expect((await readCheckpoint(output)).metadata.class_names).toBe('["red","blue"]');
  });
});
