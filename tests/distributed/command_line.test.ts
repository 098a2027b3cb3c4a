import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findLastCheckpoint, readTrainingCheckpoint } from '../../src/engine/training_checkpoint.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { mpirun, mpiReason } from './mpirun.js';

const folder = mkdtempSync(join(tmpdir(), 'command-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(mpiReason())('maskrcnn train under mpirun', () => {
  it('ends with a checkpoint where mpirun is sent USR2', { timeout: 300_000 }, async () => {
    const { json, images } = writeTinyData(folder);
    const config = join(folder, 'smallest.yaml');
    writeFileSync(config, SMALLEST_CONFIG);
    const output = join(folder, 'run');
    const data = ['--config', config, '--weights', 'none', '--train-json', json, '--train-images', images];
    const common = ['train', '--output', output, '--device', 'wasm'];
    const keys = ['SOLVER.MAX_ITER=100000', 'SOLVER.CHECKPOINT_PERIOD=1'];
    const job = mpirun(2, '../../src/cli/main.ts', [...common, ...data, ...keys]);
    let over = false;
    void job.end.then(() => (over = true));
    while (!over && !existsSync(join(output, 'last_checkpoint'))) await new Promise((resolve) => setTimeout(resolve, 50));
    process.kill(job.process, 'SIGUSR2');
    const { code, out } = await job.end;
    expect(code, out).toBe(140);
    // One process alone speaks.
    const ends = [...out.matchAll(/stopped after (\d+) of 100000 iterations: SIGUSR2\. Go on with: .*--resume/g)];
    expect(ends).toHaveLength(1);
    const { state } = await readTrainingCheckpoint((await findLastCheckpoint(output))!);
    expect(state.iteration).toBe(Number(ends[0]![1]));
  });
});
