import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goldenFolder } from '../golden_folder.js';
import { devices } from '../ops/devices.js';
import { failOnMissing, mpirun, mpiReason } from './mpirun.js';
import type { GoldenOptions, GoldenResult } from './train_goldens.js';

const golden = goldenFolder();
failOnMissing(golden, devices);
const folder = mkdtempSync(join(tmpdir(), 'goldens-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Mask, keypoint, panoptic and cascade R-CNN, the heads of C4, RetinaNet, group norms, and the smallest. */
const CASES = ['01', '05', '06', '07', '08', '10', '11', '14'];

/**
 * Twenty of one; the others make three on tensorflow, and one on wasm, where a step takes seconds: what a process gets wrong shows in the first. The
 * smallest makes twenty in `equality.test.ts`, on both.
 */
const stepsOf = (name: string, device: string): number => (device === 'wasm' ? 1 : name === '01' ? 20 : 3);

/** What four processes share too. */
const OF_FOUR = ['14'];

interface Trained extends GoldenResult {
  values: Float32Array;
}

async function train(
  device: GoldenOptions['device'],
  processes: number,
  names: readonly string[],
): Promise<Record<string, Trained>> {
  const output = join(folder, `${device}-${processes}`);
  mkdirSync(output);
  const models = join(golden!, 'models');
  const cases = names.map((name) => ({
    name,
    folder: join(
      models,
      readdirSync(models).find((entry) => entry.startsWith(`${name}_`))!,
    ),
    steps: stepsOf(name, device),
  }));
  // Two of them sum gradients during the backward pass.
  const options: GoldenOptions = { device, cases, output, overlap: processes === 2 };
  const { code, out } = await mpirun(processes, 'train_goldens.ts', [JSON.stringify(options)]).end;
  expect(code, out).toBe(0);
  return Object.fromEntries(
    names.map((name) => {
      const result = JSON.parse(readFileSync(join(output, `${name}.json`), 'utf8')) as GoldenResult;
      return [name, { ...result, values: new Float32Array(Uint8Array.from(readFileSync(join(output, `${name}.bin`))).buffer) }];
    }),
  );
}

function expectEqual(found: Trained, wanted: Trained, steps: number): void {
  expect(wanted.losses).toHaveLength(steps);
  wanted.losses.forEach((step, i) => {
    for (const [name, value] of Object.entries(step)) {
      expect(Number.isFinite(value)).toBe(true);
      expect(Math.abs(found.losses[i]![name]! - value), `${name} of step ${i}`).toBeLessThanOrEqual(1e-5 * Math.abs(value));
    }
  });
  expect(found.weights).toEqual(wanted.weights);
  let at = 0;
  for (const { name, size } of wanted.weights) {
    let worst = 0;
    for (const end = at + size; at < end; at++) worst = Math.max(worst, Math.abs(found.values[at]! - wanted.values[at]!));
    expect(worst, name).toBeLessThanOrEqual(1e-5);
  }
}

describe.skipIf(!golden || mpiReason()).each(devices.filter((d) => d !== 'cpu'))(
  'golden training on %s, with a batch of 4',
  (device) => {
    const kind = device as GoldenOptions['device'];
    let one: Record<string, Trained>;
    let two: Record<string, Trained>;
    let four: Record<string, Trained>;
    beforeAll(async () => {
      one = await train(kind, 1, CASES);
      two = await train(kind, 2, CASES);
      four = await train(kind, 4, OF_FOUR);
    }, 1_200_000);

    it.each(CASES)('case %s is the same in one process and in two', (name) => {
      expectEqual(two[name]!, one[name]!, stepsOf(name, device));
    });

    it.each(OF_FOUR)('case %s is the same in one process and in four', (name) => {
      expectEqual(four[name]!, one[name]!, stepsOf(name, device));
    });
  },
);
