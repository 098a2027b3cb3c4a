import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { findLastCheckpoint, readTrainingCheckpoint } from '../../src/engine/training_checkpoint.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { serve, startWeightServer } from '../model_zoo/weight_server.js';
import { devices } from '../ops/devices.js';
import { mpirun, mpiReason } from './mpirun.js';

const folder = mkdtempSync(join(tmpdir(), 'command-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(mpiReason())('maskrcnn train under mpirun', () => {
  it.each(devices.filter((device) => device !== 'cpu'))(
    'trains on %s with nothing else said, from weights that two processes want and one downloads',
    { timeout: 300_000 },
    async (device) => {
      const { json, val, images } = writeTinyData(folder);
      const config = join(folder, 'smallest.yaml');
      writeFileSync(config, SMALLEST_CONFIG);
      const weights = join(folder, 'stem.safetensors');
      const data = Float32Array.from({ length: 8 * 147 }, (_, i) => Math.sin(i) / 10);
      await writeSafetensors(
        weights,
        new Map([['backbone.bottom_up.stem.conv1.weight', { shape: [8, 3, 7, 7], dtype: 'F32', data }]]),
      );
      // Late, so that both ask before it is there.
      const whole = serve(readFileSync(weights));
      const server = await startWeightServer([(request, response) => setTimeout(() => whole(request, response), 3000)]);
      const output = join(folder, `plain-${device}`);
      const files = ['--train-json', json, '--train-images', images, '--val-json', val, '--val-images', images];
      const args = ['train', '--config', config, '--output', output, '--device', device, '--auto', '--epochs', '2', ...files];
      const env = { MASKRCNN_CACHE: join(folder, `cache-${device}`) };
      const { code, out } = await mpirun(2, '../../src/cli/main.ts', [...args, '--weights', `${server.url}w.safetensors`], env)
        .end;
      await server.close();
      expect(code, out).toBe(0);
      expect(server.requests).toHaveLength(1);
      // Six pictures twice, a picture a step for each of the two.
      expect(out).toContain('2 processes, 1 of 2 pictures a step each');
      expect(out.match(/done: 6 iterations/g)).toHaveLength(1);
      expect(out).toMatch(/weights: 1 tensors of .*w\.safetensors/);
      const { state } = await readTrainingCheckpoint((await findLastCheckpoint(output))!);
      expect(state.iteration).toBe(6);
      expect(readdirSync(output)).toContain('model.safetensors');
    },
  );

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
