import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nativeReason } from '../backends/native.js';
import { runMain } from './run_main.js';
import { TINY_CONFIG, writeTinyData } from './tiny_data.js';

const folder = mkdtempSync(join(tmpdir(), 'sanity-'));
const config = join(folder, 'tiny.yaml');
let data: ReturnType<typeof writeTinyData>;
beforeAll(() => {
  data = writeTinyData(folder);
  // Norms over the batch learn from random weights within a few hundred steps.
  writeFileSync(config, TINY_CONFIG.replaceAll('NORM: GN', 'NORM: BN'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function sanity(output: string, train: string): ReturnType<typeof runMain> {
  const from = ['--config', config, '--train-json', train, '--train-images', data.images, '--weights', 'none'];
  return runMain(['train', ...from, '--output', join(folder, output), '--device', 'tensorflow', '--sanity', '--json']);
}

const missing = nativeReason();

describe.skipIf(missing)(`train --sanity${missing ? ` (${missing})` : ''}`, () => {
  it('learns four pictures by heart, from random weights', { timeout: 600_000 }, async () => {
    const { code, out, err } = await sanity('sound', data.json);
    const result = JSON.parse(out.trim().split('\n').at(-1)!) as { passed: boolean; iterations: number; best: number };
    expect(result.passed, err).toBe(true);
    expect(result.best).toBeGreaterThanOrEqual(90);
    expect(result.iterations).toBeLessThan(1500);
    expect(code).toBe(0);
    const four = JSON.parse(readFileSync(join(folder, 'sound/sanity/pictures.json'), 'utf8')) as { images: unknown[] };
    expect(four.images).toHaveLength(4);
  });
});
