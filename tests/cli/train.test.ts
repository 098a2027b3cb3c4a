import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { runCommandLine } from '../../src/cli/program.js';
import { Predictor } from '../../src/engine/predictor.js';
import { readMetrics } from '../../src/engine/writers/json_lines_writer.js';
import { runMain } from './run_main.js';
import { TINY_CONFIG, writeTinyData } from './tiny_data.js';

const folder = mkdtempSync(join(tmpdir(), 'train-'));
const config = join(folder, 'tiny.yaml');
let data: ReturnType<typeof writeTinyData>;

beforeAll(() => {
  data = writeTinyData(folder);
  writeFileSync(config, TINY_CONFIG);
});
afterAll(() => rmSync(folder, { recursive: true }));

const start = (output: string, ...more: string[]): string[] => [
  ...['train', '--config', config, '--weights', 'none', '--train-json', data.json, '--train-images', data.images],
  ...['--output', join(folder, output), '--device', 'wasm', ...more],
];

async function weightsOf(output: string, iteration: number): Promise<Map<string, Float32Array>> {
  const { tensors } = await readCheckpoint(
    join(folder, output, `checkpoints/iteration_${String(iteration).padStart(7, '0')}.safetensors`),
  );
  return new Map([...tensors].map(([name, tensor]) => [name, tensor.toFloat32()]));
}

describe('maskrcnn train', () => {
  it('trains, evaluates, keeps a folder that predict reads, and goes on bit by bit', { timeout: 600_000 }, async () => {
    const validation = ['--val-json', data.val, '--val-images', data.images];
    const whole = await runMain(start('whole', ...validation, 'TEST.VALIDATION_LOSS_IMAGES=1'));
    expect(whole.err).toBe('');
    expect(whole.code).toBe(0);
    expect(whole.out).toMatch(/heads for 2 classes: box_predictor\.cls_score \[3, 32\]/);
    expect(whole.out).toMatch(/iter: 3 {2}total_loss: /);
    expect(readdirSync(join(folder, 'whole')).sort()).toEqual(
      expect.arrayContaining(['config.yaml', 'last_checkpoint', 'metrics.jsonl', 'model.safetensors', 'report.html']),
    );
    const rows = await readMetrics(join(folder, 'whole', 'metrics.jsonl'));
    expect(rows.at(-1)).toMatchObject({ iteration: 3, lr: 0.0025 });
    expect(rows.at(-1)!['validation/total_loss']).toBeGreaterThan(0);
    const page = readFileSync(join(folder, 'whole', 'report.html'), 'utf8');
    expect(page).toContain('uPlot');
    expect(page).not.toMatch(/(src|href)="https?:/);
    const stored = await readCheckpoint(join(folder, 'whole', 'model.safetensors'));
    expect(stored.metadata).toMatchObject({ class_names: '["red","blue"]', category_ids: '[10,20]' });

    const predictor = await Predictor.load(join(folder, 'whole'), { device: 'wasm' });
    expect(predictor.classNames).toEqual(['red', 'blue']);
    await predictor.predict(join(data.images, '0.png'));
    predictor.dispose();

    expect((await runMain(start('parts', 'SOLVER.MAX_ITER=2'))).code).toBe(0);
    // On the device that it was started on, whatever auto would take; with a thread that loads ahead.
    const rest = await runMain([
      ...['train', '--resume', '--output', join(folder, 'parts')],
      ...['SOLVER.MAX_ITER=4', 'DATALOADER.NUM_WORKERS=1'],
    ]);
    expect(rest.out).toMatch(/^device wasm, seed 7/m);
    expect(rest.out).toMatch(/resumed at 2 of 4 iterations/);
    expect(rest.code).toBe(0);
    expect(await weightsOf('parts', 4)).toEqual(await weightsOf('whole', 4));
  });

  it(
    'ends with a checkpoint on SIGINT and SIGTERM, and a killed run goes on from its last one',
    { timeout: 600_000 },
    async () => {
      const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
      const run = (args: string[], signal: NodeJS.Signals, at: RegExp) =>
        new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
          const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
          let [out, err] = ['', ''];
          child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
          child.stdout.on('data', (chunk: Buffer) => {
            const before = out;
            out += chunk.toString();
            if (at.test(out) && !at.test(before)) child.kill(signal);
          });
          child.on('close', (code) => resolve({ code, out, err }));
        });
      const output = join(folder, 'signals');
      const saved = () => readFileSync(join(output, 'last_checkpoint'), 'utf8').trim();
      const killed = await run(start('signals', 'SOLVER.MAX_ITER=1000', 'SOLVER.CHECKPOINT_PERIOD=1'), 'SIGKILL', /saved/);
      expect(killed.code).toBeNull();
      // What a kill in the middle of writing leaves behind.
      writeFileSync(join(output, 'checkpoints', 'iteration_0000009.safetensors.4711.0a1b2c3d.tmp'), 'half');

      const resume = ['train', '--resume', '--output', output, '--device', 'wasm'];
      const interrupted = await run(resume, 'SIGINT', /saved/);
      expect(interrupted.code).toBe(130);
      expect(interrupted.err).toMatch(/^SIGINT: ending after this iteration with a checkpoint; once more ends at once$/m);
      expect(interrupted.out).toMatch(/resumed at [1-9]\d* of 1000/);
      expect(interrupted.out).toMatch(
        /stopped after \d+ of 1000 iterations: SIGINT\. Go on with: maskrcnn train --output .* --resume/,
      );
      const files = readdirSync(join(output, 'checkpoints'));
      expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
      expect(files.length).toBeLessThanOrEqual(3);

      const terminated = await run([...resume, 'SOLVER.CHECKPOINT_PERIOD=3'], 'SIGTERM', /saved/);
      expect(terminated.code).toBe(143);
      const at = /stopped after (\d+) of 1000 iterations: SIGTERM/.exec(terminated.out)![1]!.padStart(7, '0');
      const names = [...terminated.out.matchAll(/^saved .*(iteration_\d+)/gm)].map(([, name]) => name);
      expect(names.filter((name) => name === `iteration_${at}`)).toHaveLength(1);
      expect(saved()).toBe(`checkpoints/iteration_${at}.safetensors`);
      expect((await readCheckpoint(join(output, saved()))).metadata.iteration).toBe(String(Number(at)));
    },
  );

  it('leaves the last good checkpoint whole where the disk is full, and goes on from it', { timeout: 600_000 }, async () => {
    const output = join(folder, 'full');
    expect((await runMain(start('full', 'SOLVER.MAX_ITER=2'))).code).toBe(0);
    const checkpoint = join(output, 'checkpoints', 'iteration_0000002.safetensors');
    const [before, model] = [readFileSync(checkpoint), readFileSync(join(output, 'model.safetensors'))];
    const resume = ['train', '--resume', '--output', output, '--device', 'wasm', 'SOLVER.MAX_ITER=4'];
    // No file may grow beyond 2 MB: the system refuses the rest of a checkpoint, as a full disk does.
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
    const limited = await promisify(execFile)('bash', [
      ...['-c', 'ulimit -f 2048; exec "$0" --import tsx "$@"', process.execPath, main, ...resume],
    ]).catch((error: { code: number; stderr: string }) => error);
    expect(limited).toMatchObject({ code: 1 });
    expect(limited.stderr).toMatch(/\.safetensors cannot be written: the file would be larger than the limit/);
    expect(readFileSync(join(output, 'last_checkpoint'), 'utf8')).toBe('checkpoints/iteration_0000002.safetensors\n');
    expect(readFileSync(checkpoint).equals(before)).toBe(true);
    expect(readFileSync(join(output, 'model.safetensors')).equals(model)).toBe(true);
    expect(
      readdirSync(output)
        .concat(readdirSync(join(output, 'checkpoints')))
        .filter((name) => name.endsWith('.tmp')),
    ).toEqual([]);
    const again = await runMain(resume);
    expect(again.code).toBe(0);
    expect(again.out).toMatch(/resumed at 2 of 4 iterations/);
  });

  it('names a picture that turns out to be damaged, and goes on once it is mended', { timeout: 300_000 }, async () => {
    const own = writeTinyData(join(folder, 'damaged'), 6);
    const damaged = join(own.images, '4.png');
    const whole = readFileSync(damaged);
    // The header is sound, so that nothing is seen before its turn comes.
    writeFileSync(damaged, whole.subarray(0, whole.length / 2));
    const output = join(folder, 'damaged', 'run');
    const settings = ['SOLVER.MAX_ITER=6', 'SOLVER.CHECKPOINT_PERIOD=1', 'DATALOADER.NUM_WORKERS=1'];
    const args = start('damaged', ...settings).map((arg) =>
      arg === data.json ? own.json : arg === data.images ? own.images : arg === join(folder, 'damaged') ? output : arg,
    );
    const { code, err } = await runMain(args);
    expect(code).toBe(1);
    expect(err).toMatch(
      /Iteration [0-2] has no pictures: '.*4\.png' is damaged or cut short: .*\. Mend the file, then go on from the last checkpoint with --resume\./,
    );
    expect(readFileSync(join(output, 'report.html'), 'utf8')).toMatch(/Ended by an error: .*4\.png' is damaged/s);
    writeFileSync(damaged, whole);
    const again = /Iteration 0 /.test(err) ? args : ['train', '--resume', '--output', output];
    expect((await runMain(again)).code).toBe(0);
  });

  it('says before the first step what cannot work', async () => {
    const other = writeTinyData(join(folder, 'other'), 2, ['red', 'green']);
    const errors: string[] = [];
    const run = (args: string[]) => runCommandLine(args, { out: () => {}, err: (text) => errors.push(text) });
    expect(await run(start('mixed', '--val-json', other.val, '--val-images', other.images))).toBe(1);
    expect(errors.join('')).toMatch(/The classes differ: the training set has red, blue; .*val\.json has red, green/);
    errors.length = 0;
    expect(await run(['train', '--resume', '--output', join(folder, 'nowhere')])).toBe(1);
    expect(errors.join('')).toMatch(/there is no run to resume/);
    errors.length = 0;
    expect(await run(start('epochs', '--epochs', '-1'))).toBe(1);
    expect(errors.join('')).toMatch(/--epochs.*"-1" is not a number above 0/s);
    mkdirSync(join(folder, 'earlier', 'checkpoints'), { recursive: true });
    writeFileSync(join(folder, 'earlier', 'checkpoints', 'iteration_0000004.safetensors'), '');
    for (const [args, wanted] of [
      [start('length', '--epochs', '3', 'SOLVER.MAX_ITER=7'), /--epochs and SOLVER\.MAX_ITER both say how long the run is/],
      [['train', '--resume', '--output', join(folder, 'parts'), '--epochs', '3'], /SOLVER\.MAX_ITER=N sets another end/],
      [
        start('earlier'),
        /holds a run already \(its last checkpoint: iteration_0000004\.safetensors\)\. Go on with it by --resume/,
      ],
      [start('gone', '--train-images', folder), /train\.json: 6 of 6 pictures are not there: /],
      [
        start('metric', '--val-json', data.val, '--val-images', data.images, 'TEST.BEST_METRIC=segm/AP-read'),
        /TEST\.BEST_METRIC is 'segm\/AP-read'; the evaluation will not give it\. Nearest: segm\/AP-red, /,
      ],
      [
        start('loss', '--val-json', data.val, '--val-images', data.images, 'TEST.BEST_METRIC=validation/total_loss'),
        /no validation loss is measured; set TEST\.VALIDATION_LOSS_IMAGES=50/,
      ],
    ] as const) {
      errors.length = 0;
      expect(await run([...args])).toBe(1);
      expect(errors.join('')).toMatch(wanted);
    }
  });
});
