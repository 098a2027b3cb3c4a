import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { explicitKeys } from '../../src/cli/explicit_keys.js';

const folder = mkdtempSync(join(tmpdir(), 'explicit-'));
const own = join(folder, 'own.yaml');
writeFileSync(join(folder, 'base.yaml'), 'MODEL: { MASK_ON: true }\nSOLVER: { BASE_LR: 0.1 }\n');
writeFileSync(
  own,
  '_BASE_: base.yaml\nSOLVER: { MAX_ITER: 10, STEPS: [5], WARMUP_ITERS: 2 }\nINPUT:\n  CROP: { ENABLED: true }\n',
);
afterAll(() => rmSync(folder, { recursive: true }));

describe('explicitKeys', () => {
  it('are those of the command line', async () => {
    expect(
      await explicitKeys(['SOLVER.BASE_LR=0.1', ' INPUT.FORMAT = RGB'], 'COCO-Detection/retinanet_R_50_FPN_3x', false),
    ).toEqual(new Set(['SOLVER.BASE_LR', 'INPUT.FORMAT']));
  });

  it('are those of the file itself, not of its base', async () => {
    expect(await explicitKeys(['SEED=1'], own, false)).toEqual(
      new Set(['SEED', 'SOLVER.MAX_ITER', 'SOLVER.STEPS', 'SOLVER.WARMUP_ITERS', 'INPUT.CROP.ENABLED']),
    );
  });

  it("leave the file's length out where epochs are given, but not the command line's", async () => {
    expect(await explicitKeys(['SOLVER.STEPS=[3]'], own, true)).toEqual(new Set(['INPUT.CROP.ENABLED', 'SOLVER.STEPS']));
  });
});
