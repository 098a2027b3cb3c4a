import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { type SafetensorsTensor, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { getConfig } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { findLastCheckpoint, readTrainingCheckpoint } from '../../src/engine/training_checkpoint.js';
import { initializeWeights } from '../../src/layers/weight_init.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { serve, startWeightServer } from '../model_zoo/weight_server.js';
import { devices } from '../ops/devices.js';
import { mpirun, mpiReason } from './mpirun.js';

const folder = mkdtempSync(join(tmpdir(), 'command-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Weights of the model of a config. */
async function writeWeights(config: string): Promise<string> {
  await startBackend('cpu');
  const model = buildModel(getConfig(config, ['MODEL.ROI_HEADS.NUM_CLASSES=2']));
  const parameters = model.modelParameters();
  const random = new Random(2);
  initializeWeights(parameters, () => random.next());
  const path = join(folder, 'weights.safetensors');
  const tensors = new Map<string, SafetensorsTensor>();
  for (const { name, shape, get } of parameters) tensors.set(name, { shape, dtype: 'F32', data: Float32Array.from(await get()) });
  await writeSafetensors(path, tensors);
  model.dispose();
  return path;
}

describe.skipIf(mpiReason())('maskrcnn train under mpirun', () => {
  it.each(devices.filter((device) => device !== 'cpu'))(
    'trains on %s with nothing else said, from weights that two processes want and one downloads',
    { timeout: 300_000 },
    async (device) => {
      const { json, val, images } = writeTinyData(folder);
      const config = join(folder, 'smallest.yaml');
      // The batch is left to the recipe.
      writeFileSync(config, SMALLEST_CONFIG.replace('IMS_PER_BATCH: 2, ', ''));
      const weights = await writeWeights(config);
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
      expect(out).toMatch(/weights: \d+ tensors of .*w\.safetensors/);
      expect(out).toContain('SOLVER.IMS_PER_BATCH=2  a picture a step for each of 2 processes');
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
