import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from 'fast-png';
import { afterAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { TINY_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { devices } from '../ops/devices.js';

const folder = mkdtempSync(join(tmpdir(), 'mnc-run-'));
afterAll(() => rmSync(folder, { recursive: true }));

const script = fileURLToPath(new URL('../../projects/mnc/run.ts', import.meta.url));
const run = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, ['--import', 'tsx', script, ...args])).stdout;

// cpu computes the same as the others and takes long.
describe.each(devices.filter((device) => device !== 'cpu'))('projects/mnc/run.ts on %s', (device) => {
  const config = join(folder, 'tiny.yaml');
  const output = join(folder, device);

  it(
    'trains three iterations of heads as large as the Mask R-CNN, evaluates them, and predicts',
    { timeout: 600_000 },
    async () => {
      // So wide that there is room for the mask stage.
      writeFileSync(config, TINY_CONFIG.replace('FC_DIM: 32', 'FC_DIM: 96'));
      const { json, val, images } = writeTinyData(folder);
      const trained = await run('train', config, json, images, output, val, images, '--device', device, 'SOLVER.MAX_ITER=3');
      const [, own, other] = /^(\d+) parameters; the Mask R-CNN of .* has (\d+)$/m.exec(trained)!;
      expect(Math.abs(Number(own) - Number(other))).toBeLessThan(0.001 * Number(other));
      const rows = readFileSync(join(output, 'metrics.jsonl'), 'utf8').trim().split('\n');
      const [first, last] = [rows[0], rows.at(-1)].map((row) => JSON.parse(row!) as Record<string, number>);
      // Nothing is learnt yet: three classes, a coin toss for each pixel of the masks in both rounds.
      expect(first!.loss_cls_stage0).toBeCloseTo(Math.log(3), 1);
      expect(first!.loss_mask_stage0).toBeCloseTo(Math.log(2), 1);
      expect(first!.loss_mask_stage1).toBeCloseTo(Math.log(2), 1);
      expect(last).toHaveProperty('segm/AP');
      const { tensors } = await readCheckpoint(join(output, 'model.safetensors'));
      expect(tensors.get('roi_heads.mask_stage.predictor.weight')!.shape).toEqual([28 * 28, 32]);

      const drawing = join(folder, `${device}.png`);
      const found = (await run('predict', output, join(images, '0.png'), drawing, '--device', device)).trim();
      for (const line of found === '' ? [] : found.split('\n')) {
        const { className, box, area } = JSON.parse(line) as { className: string; box: number[]; area: number };
        expect(['red', 'blue']).toContain(className);
        expect(area).toBeLessThanOrEqual(64 * 64);
        expect(box).toHaveLength(4);
      }
      const { width, height } = decode(readFileSync(drawing));
      expect([width, height]).toEqual([64, 64]);
    },
  );
});
