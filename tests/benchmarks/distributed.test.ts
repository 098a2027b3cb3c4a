import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { SMALLEST_CONFIG } from '../cli/tiny_data.js';
import { mpiReason } from '../distributed/mpirun.js';

const folder = mkdtempSync(join(tmpdir(), 'bench-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

describe.skipIf(mpiReason())('the bench of training in several processes', () => {
  it('prints a line for each number of processes and for each of the model', { timeout: 300_000 }, async () => {
    const config = join(folder, 'smallest.yaml');
    writeFileSync(config, SMALLEST_CONFIG);
    const options = { config, side: '64', floats: '100000', runs: '1', processes: '1,2' };
    const args = Object.entries({ ...options, backend: 'wasm' }).flatMap(([name, value]) => [`--${name}`, value]);
    const run = [process.execPath, '--import', 'tsx', at('benchmarks/distributed.ts'), ...args];
    const { stdout, stderr } = await promisify(execFile)(run[0]!, run.slice(1), { encoding: 'utf8' });
    expect(stderr).toMatch(/of the step.*ratio/);
    expect(stderr).toMatch(/\d %/);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, number> & { name: string });
    const [one, two, ...model] = lines;
    expect(one).toMatchObject({ name: 'distributed', processes: 1, backend: 'wasm', bound_ms: 0 });
    expect(two).toMatchObject({ processes: 2, gradient_bytes: one!.gradient_bytes });
    expect(two!.communication_share).toBeCloseTo(two!.communication_ms! / two!.step_ms!, 3);
    expect(two!.mpi_ms).toBeLessThanOrEqual(two!.communication_ms!);
    expect((two!.communication_to_bound! * two!.bound_ms!) / two!.communication_ms!).toBeCloseTo(1, 2);
    expect(one).toMatchObject({ communication_to_bound: null, allreduce_to_bound: null });
    expect(two!.overlapped_step_ms).toBeGreaterThan(0);
    // Two and a half of 400 kB in each of two processes, at the bandwidth that was measured.
    expect(two!.allreduce_bound_ms! * two!.memory_gb_per_s!).toBeCloseTo(2, 2);
    expect(model.map(({ nodes, gbit_per_s }) => [nodes, gbit_per_s])).toEqual(
      [8, 16, 32, 64, 128, 256].flatMap((nodes) => [10, 100].map((gbit) => [nodes, gbit])),
    );
    for (const { step_ms, overlapped_step_ms } of model) {
      expect(overlapped_step_ms).toBeGreaterThan(0);
      expect(overlapped_step_ms).toBeLessThanOrEqual(step_ms!);
    }
  });
});
