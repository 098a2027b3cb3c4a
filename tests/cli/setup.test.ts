import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SetupReport } from '../../src/backends/setup.js';
import { nativeReason } from '../backends/native.js';
import { runMain } from './run_main.js';

const missing = nativeReason();

describe('maskrcnn setup', () => {
  it.skipIf(!missing)('downloads nothing where nobody agrees', async () => {
    const cache = mkdtempSync(join(tmpdir(), 'cache-'));
    const { code, out, err } = await runMain(['setup', '--json'], { MASKRCNN_CACHE: cache });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({ error: 'set-up was not agreed to: nothing was downloaded. `--yes` agrees.' });
    expect(err).toContain('tensorflow-cpu 2.21.0 (274 MB; 853 MB unpacked)');
    expect(err).toContain(cache);
    expect(readdirSync(cache)).toEqual([]);
  });

  it.skipIf(missing)(`takes a package that works, and measures it${missing ? ` (${missing})` : ''}`, async () => {
    const { code, out } = await runMain(['setup', '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(out) as SetupReport;
    expect(report).toMatchObject({ how: 'already installed', tried: [] });
    expect(report.gflops).toBeGreaterThan(1);
  });
});
