import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { goldenFolder } from '../golden_folder.js';
import { devices } from '../ops/devices.js';
import { failOnMissing, mpirun, mpiReason } from './mpirun.js';
import { writeShapesData } from './shapes_data.js';
import type { TogetherOptions } from './train_together.js';

const golden = goldenFolder();
failOnMissing(golden, devices);
const folder = mkdtempSync(join(tmpdir(), 'together-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Result {
  losses: Record<string, number>[];
  weights: Record<string, number[]>;
  evaluation: Record<string, number>;
}

/** Pictures of two shapes and three sizes in one batch; 64 of the anchors and 32 of the proposals are drawn; flips, momentum, a warm-up. */
const OVERRIDES = [
  'SOLVER.IMS_PER_BATCH=4',
  'SOLVER.MAX_ITER=20',
  'SOLVER.STEPS=(15,)',
  'SOLVER.BASE_LR=0.001',
  'SEED=5',
  'MODEL.RPN.BATCH_SIZE_PER_IMAGE=64',
  'MODEL.RPN.POST_NMS_TOPK_TRAIN=100',
  'MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE=32',
  'MODEL.ROI_HEADS.POSITIVE_FRACTION=0.25',
  'DATALOADER.ASPECT_RATIO_GROUPING=False',
  'INPUT.MIN_SIZE_TRAIN=(64,80,96)',
];

async function train(
  processes: number,
  name: string,
  more: Partial<TogetherOptions> & Pick<TogetherOptions, 'device'>,
): Promise<Result> {
  const output = join(folder, name);
  const data = writeShapesData(golden!, folder);
  const options: TogetherOptions = { ...data, output, ...more, overrides: [...OVERRIDES, ...(more.overrides ?? [])] };
  const { code, out } = await mpirun(processes, 'train_together.ts', [JSON.stringify(options)]).end;
  expect(code, out).toBe(0);
  return JSON.parse(readFileSync(join(output, 'together.json'), 'utf8')) as Result;
}

function expectEqual(found: Result, wanted: Result): void {
  expect(found.losses).toHaveLength(wanted.losses.length);
  wanted.losses.forEach((step, i) => {
    for (const [name, value] of Object.entries(step))
      expect(Math.abs(found.losses[i]![name]! - value), `${name} of step ${i}`).toBeLessThanOrEqual(1e-5 * Math.abs(value));
  });
  for (const [name, values] of Object.entries(wanted.weights)) {
    const worst = Math.max(...values.map((value, k) => Math.abs(found.weights[name]![k]! - value)));
    expect(worst, name).toBeLessThanOrEqual(1e-5);
  }
}

describe.skipIf(!golden || mpiReason()).each(devices.filter((d) => d !== 'cpu'))('a batch of 4 on %s', (device) => {
  const kind = device as TogetherOptions['device'];

  it('is the same in one process, in two and in four, for 20 iterations', { timeout: 600_000 }, async () => {
    const one = await train(1, `${device}-1`, { device: kind });
    expect(one.losses).toHaveLength(20);
    expectEqual(await train(2, `${device}-2`, { device: kind }), one);
    expectEqual(await train(4, `${device}-4`, { device: kind }), one);
  });

  it('finds the same AP with the pictures divided, to the last digit', { timeout: 600_000 }, async () => {
    const { json, images } = writeShapesData(golden!, folder);
    // A rate of 0 keeps the weights of the golden model.
    const more = { device: kind, validation: { json, images }, overrides: ['SOLVER.MAX_ITER=1', 'SOLVER.BASE_LR=0.0'] };
    const one = await train(1, `${device}-ap1`, more);
    const four = await train(4, `${device}-ap4`, more);
    const numbers = ({ evaluation }: Result) => Object.entries(evaluation).filter(([name]) => /^(bbox|segm)\//.test(name));
    expect(numbers(four)).toEqual(numbers(one));
    expect(one.evaluation['bbox/AP']).toBeGreaterThan(20);
  });
});
