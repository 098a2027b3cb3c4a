import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMain } from '../cli/run_main.js';
import { devices } from '../ops/devices.js';
import { mpirun, mpiReason } from './mpirun.js';

const fixture = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'merge-'));
const pictures = join(folder, 'pictures');
const truth = join(folder, 'truth.json');
const main = '../../src/cli/main.ts';
/** All processes on all processors, as --bind-to none has it: TensorFlow's last digits depend on the number of its threads. */
const unbound = { OMPI_MCA_hwloc_base_binding_policy: 'none' };

// Six pictures, not by id, each with a box that the model finds in some of them.
beforeAll(() => {
  const images = [0, 1, 2, 3, 4, 5].map((i) => {
    cpSync(join(fixture, 'inputs', `${i % 2}.png`), join(pictures, `${i}.png`));
    const png = readFileSync(join(pictures, `${i}.png`));
    return { id: 10 + ((i * 5) % 6), file_name: `${i}.png`, width: png.readUInt32BE(16), height: png.readUInt32BE(20) };
  });
  const [x, y, w, h] = [20, 20, 60, 60];
  const segmentation = [[x, y, x + w, y, x + w, y + h, x, y + h]];
  const annotations = images.map(({ id }, i) => ({
    ...{ id: i + 1, image_id: id, category_id: 1 + (i % 3), bbox: [x, y, w, h], area: w * h, iscrowd: 0, segmentation },
  }));
  const categories = ['rectangle', 'circle', 'triangle'].map((name, i) => ({ id: i + 1, name }));
  writeFileSync(truth, JSON.stringify({ images, annotations, categories }));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Every file of the one folder but the parts has the bytes of that in the other. */
function expectSame(found: string, wanted: string): void {
  const names = readdirSync(wanted);
  expect(readdirSync(found).filter((name) => !name.startsWith('part_'))).toEqual(names);
  for (const name of names) expect(readFileSync(join(found, name)).equals(readFileSync(join(wanted, name))), name).toBe(true);
}

describe.skipIf(mpiReason()).each(devices.filter((d) => d !== 'cpu'))('shares of mpirun on %s', (device) => {
  const model = ['--model', join(fixture, 'model'), '--device', device];
  const evaluate = (output: string) =>
    ['evaluate', ...model, '--json-file', truth, '--images', pictures, '--output', join(folder, output)]; // prettier-ignore
  const predict = (output: string) =>
    ['predict', pictures, ...model, '--format', 'coco', '--output', join(folder, output)]; // prettier-ignore
  /** A process of its own, as each share has. */
  const alone = async (...args: string[]): Promise<void> => {
    const { code, out } = await mpirun(1, main, args, unbound).end;
    expect(code, out).toBe(0);
  };
  const whole = { evaluate: `${device}-evaluate`, predict: `${device}-predict` };
  beforeAll(async () => {
    await alone(...evaluate(whole.evaluate));
    await alone(...predict(whole.predict));
  });

  it.each([2, 4])('of %i processes, merged, are the files of one process', { timeout: 300_000 }, async (processes) => {
    const parts = `${device}-evaluate-${processes}`;
    const { code, out } = await mpirun(processes, main, [...evaluate(parts), '--shard', 'auto'], unbound).end;
    expect(code, out).toBe(0);
    expect(readdirSync(join(folder, parts)).sort()).toEqual(
      Array.from({ length: processes }, (_, i) => `part_000${i}_of_000${processes}.jsonl`),
    );
    const merged = await runMain(['merge', join(folder, parts), '--json-file', truth, '--images', pictures]);
    expect([merged.code, merged.err]).toEqual([0, '']);
    expectSame(join(folder, parts), join(folder, whole.evaluate));
    expect(JSON.parse(readFileSync(join(folder, parts, 'coco_instances_results.json'), 'utf8'))).not.toEqual([]);
  });

  it('of predict, merged, are the file of one process', { timeout: 300_000 }, async () => {
    const parts = `${device}-predict-2`;
    const { code, out } = await mpirun(2, main, [...predict(parts), '--shard', 'auto'], unbound).end;
    expect(code, out).toBe(0);
    expect((await runMain(['merge', join(folder, parts)])).code).toBe(0);
    expectSame(join(folder, parts), join(folder, whole.predict));
  });
});

describe.skipIf(mpiReason())('mpirun without --shard', () => {
  it.each(['evaluate', 'predict', 'merge'])(
    'is refused by %s before anything is written',
    { timeout: 120_000 },
    async (command) => {
      const output = join(folder, `refused-${command}`);
      const of: Record<string, string[]> = {
        evaluate: ['--model', join(fixture, 'model'), '--json-file', truth, '--images', pictures, '--output', output],
        predict: [pictures, '--model', join(fixture, 'model'), '--output', output],
        merge: [folder, '--output', output],
      };
      const { code, out } = await mpirun(2, main, [command, ...of[command]!]).end;
      expect(code).not.toBe(0);
      expect(out).toMatch(new RegExp(`mpirun has started 2 processes, .* maskrcnn ${command} and write the same files`));
      expect(readdirSync(folder)).not.toContain(`refused-${command}`);
    },
  );
});
