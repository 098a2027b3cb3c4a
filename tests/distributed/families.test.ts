import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mpirun, mpiReason } from './mpirun.js';
import type { FamilyResult } from './train_families.js';

const folder = mkdtempSync(join(tmpdir(), 'families-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function train(processes: number): Promise<Record<string, FamilyResult>> {
  const file = join(folder, `${processes}.json`);
  const { code, out } = await mpirun(processes, 'train_families.ts', [file]).end;
  expect(code, out).toBe(0);
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, FamilyResult>;
}

const LOSSES: Record<string, string[]> = {
  cascade: ['loss_cls_stage2', 'loss_box_reg_stage2', 'loss_mask', 'loss_rpn_cls'],
  mnc: ['loss_cls_stage1', 'loss_box_reg_stage1', 'loss_mask_stage0', 'loss_mask_stage1', 'loss_rpn_loc'],
  keypoint: ['loss_cls', 'loss_keypoint', 'loss_rpn_loc'],
  keypoint_per_image: ['loss_keypoint'],
  panoptic: ['loss_sem_seg', 'loss_mask', 'loss_cls'],
  proposals: ['loss_rpn_cls', 'loss_rpn_loc'],
  semantic: ['loss_sem_seg'],
  retinanet: ['loss_cls', 'loss_box_reg'],
  sync_batch_norm: ['loss_sem_seg', 'loss_mask', 'loss_cls'],
};

describe.skipIf(mpiReason())('a batch of two pictures in two processes, with one picture each', () => {
  let one: Record<string, FamilyResult>;
  let two: Record<string, FamilyResult>;
  beforeAll(async () => {
    one = await train(1);
    two = await train(2);
  }, 600_000);

  it.each(Object.keys(LOSSES))('teaches a %s model what one process with both teaches it', (family) => {
    const [found, wanted] = [two[family]!, one[family]!];
    expect(wanted.losses).toHaveLength(4);
    expect(Object.keys(wanted.losses[0]!)).toEqual(expect.arrayContaining(LOSSES[family]!));
    wanted.losses.forEach((step, i) => {
      for (const [name, value] of Object.entries(step)) {
        expect(Number.isFinite(value)).toBe(true);
        expect(Math.abs(found.losses[i]![name]! - value), `${name} of step ${i}`).toBeLessThanOrEqual(1e-5 * Math.abs(value));
      }
    });
    for (const name of LOSSES[family]!) expect(wanted.losses[0]![name], name).toBeGreaterThan(0);
    for (const [name, values] of Object.entries(wanted.weights)) {
      const worst = Math.max(...values.map((value, k) => Math.abs(found.weights[name]![k]! - value)));
      expect(worst, name).toBeLessThanOrEqual(1e-5);
    }
    expect(found.agree).toBe(true);
  });

  it('leaves a model with batch norms of its own pictures the same in all processes, running statistics too', () => {
    const { agree, losses, weights } = two.batch_norm!;
    expect(agree).toBe(true);
    for (const value of losses.flatMap((step) => Object.values(step))) expect(Number.isFinite(value)).toBe(true);
    const running = Object.keys(weights).filter((name) => name.endsWith('.running_mean'));
    expect(running.length).toBeGreaterThan(10);
    // The mean of a batch is that of the means of two parts that are padded to one size.
    const stem = running.find((name) => name.includes('stem'))!;
    one.batch_norm!.weights[stem]!.forEach((value, i) => expect(weights[stem]![i]).toBeCloseTo(value, 6));
  });
});
