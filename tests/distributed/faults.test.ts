import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLastCheckpoint, readTrainingCheckpoint } from '../../src/engine/training_checkpoint.js';
import { Random } from '../../src/data/random.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { type Job, mpirun, mpiReason } from './mpirun.js';
import type { TogetherOptions } from './train_together.js';

const folder = mkdtempSync(join(tmpdir(), 'faults-'));
afterAll(() => rmSync(folder, { recursive: true }));
let options: TogetherOptions;
beforeAll(() => {
  const { json, images, val } = writeTinyData(folder);
  const config = join(folder, 'smallest.yaml');
  writeFileSync(config, SMALLEST_CONFIG);
  const validation = { json: val, images };
  options = {
    json,
    images,
    config,
    weights: 'none',
    output: '',
    device: 'wasm',
    overrides: ['SOLVER.CHECKPOINT_PERIOD=1'],
    validation,
  };
});

/** The process of a rank, by what its starter told it. */
function processOf(output: string, rank: number): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const isOurs = readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(output);
      if (isOurs && readFileSync(`/proc/${entry}/environ`, 'utf8').includes(`OMPI_COMM_WORLD_RANK=${rank}\0`))
        return Number(entry);
    } catch {
      // It ended meanwhile.
    }
  }
  throw new Error(`no process of rank ${rank}`);
}

async function until(job: Job, text: string): Promise<void> {
  let over = false;
  void job.end.then(() => (over = true));
  while (!job.output().includes(text)) {
    if (over) throw new Error(`ended without "${text}":\n${job.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const run = (processes: number, more: Partial<TogetherOptions>): Job =>
  mpirun(processes, 'train_together.ts', [JSON.stringify({ ...options, ...more })]);

describe.skipIf(mpiReason())('a training in several processes', () => {
  it(
    'whose rank is killed ends within seconds, names it, leaves a whole checkpoint, and goes on with another number',
    { timeout: 300_000 },
    async () => {
      const output = join(folder, 'killed');
      const endless = [...options.overrides, 'SOLVER.MAX_ITER=100000'];
      const job = run(2, { output, overrides: endless });
      await until(job, 'iteration_0000003');
      const killed = processOf(output, 1);
      process.kill(killed, 'SIGKILL');
      const start = Date.now();
      const { code, out } = await job.end;
      expect(code).not.toBe(0);
      expect(Date.now() - start).toBeLessThan(15_000);
      expect(out).toMatch(new RegExp(`rank 0 of 2 ends: rank 1 \\(process ${killed} on .*\\) is gone.*--resume`));
      const { state } = await readTrainingCheckpoint((await findLastCheckpoint(output))!);
      expect(state.iteration).toBeGreaterThanOrEqual(3);
      const end = state.iteration + 2;
      const resumed = await run(1, { output, resume: true, overrides: [...options.overrides, `SOLVER.MAX_ITER=${end}`] }).end;
      expect(resumed.out).toContain(`resumed at ${state.iteration} of ${end} iterations`);
      expect(resumed.code).toBe(0);
    },
  );

  it.each([0, 2])(
    'of four ends within seconds where rank %i is killed at any moment, every survivor naming it',
    { timeout: 300_000 },
    async (victim) => {
      const random = new Random(70 + victim);
      const output = join(folder, `victim-${victim}`);
      const job = run(4, { output, overrides: [...options.overrides, 'SOLVER.MAX_ITER=100000', 'SOLVER.IMS_PER_BATCH=4'] });
      await until(job, 'iteration_0000001');
      const killed = processOf(output, victim);
      // From a few milliseconds to a few steps.
      await new Promise((resolve) => setTimeout(resolve, random.next() ** 3 * 2000));
      process.kill(killed, 'SIGKILL');
      const start = Date.now();
      const { code, out } = await job.end;
      expect(code).not.toBe(0);
      expect(Date.now() - start).toBeLessThan(30_000);
      const about = victim === 0 ? 'the first process, on .*' : `process ${killed} on .*`;
      for (const survivor of [0, 1, 2, 3].filter((rank) => rank !== victim))
        expect(out).toMatch(new RegExp(`rank ${survivor} of 4 ends: rank ${victim} \\(${about}\\) is gone`));
      const { state } = await readTrainingCheckpoint((await findLastCheckpoint(output))!);
      expect(state.iteration).toBeGreaterThanOrEqual(1);
    },
  );

  it('one of which hangs ends, naming it, whether it computes for ever or is stopped', { timeout: 300_000 }, async () => {
    const endless = [...options.overrides, 'SOLVER.MAX_ITER=100000'];
    const timeout = 15;
    const loops = async () => {
      const { code, out } = await run(2, { output: join(folder, 'loop'), overrides: endless, hangAt: 2, timeout }).end;
      expect(code).not.toBe(0);
      expect(out).toMatch(/rank 0 of 2 ends: rank 1 \(process \d+ on .*\) did not come where others have waited for 15 s/);
      expect(out).toMatch(/rank 1 of 2 ends: rank 1 \(process/);
    };
    const isStopped = async (rank: number) => {
      const output = join(folder, `stopped-${rank}`);
      const job = run(2, { output, overrides: endless, timeout });
      await until(job, 'iteration_0000002');
      const stopped = processOf(output, rank);
      process.kill(stopped, 'SIGSTOP');
      const start = Date.now();
      const { code, out } = await job.end;
      expect(code).not.toBe(0);
      expect(Date.now() - start).toBeLessThan(45_000);
      const about = rank === 0 ? 'the first process, on' : `process ${stopped} on`;
      expect(out).toMatch(new RegExp(`rank ${1 - rank} of 2 ends: .*rank ${rank} \\(${about} .*\\).* 15 s.*--resume`));
      expect(await findLastCheckpoint(output)).toBeDefined();
    };
    // Most of the time is waiting.
    await Promise.all([loops(), isStopped(0), isStopped(1)]);
  });

  it('whose numbers are no longer finite in one of them ends, naming rank and pictures', { timeout: 300_000 }, async () => {
    const diverged = 'rank 0 of 2 ends: rank 1 of 2 failed: Training diverged at iteration 1, images \\d \\(.*\\d\\.png\\): ';
    const output = join(folder, 'nan');
    const { code, out } = await run(2, { output, spoilAt: 1 }).end;
    expect(code).not.toBe(0);
    expect(out).toMatch(new RegExp(`${diverged}loss_cls is NaN`));
    expect(readdirSync(output)).toContain('diverged_batch_1_rank_1.safetensors');
    const gradient = await run(2, { output: join(folder, 'infinite'), spoilGradientAt: 1 }).end;
    expect(gradient.code).not.toBe(0);
    expect(gradient.out).toMatch(new RegExp(`${diverged}the losses are finite, but not the gradient of backbone\\.`));
  });

  it('refuses before the first step what is not the same everywhere', { timeout: 300_000 }, async () => {
    const other = join(folder, 'other.json');
    writeFileSync(other, `${readFileSync(options.json, 'utf8')}\n`);
    // One draws its seed, the other has one: before they meet in a call of which the other knows nothing.
    const ofLast = { json: other, overrides: ['SOLVER.MAX_ITER=5', 'SEED=3'] };
    const first = { overrides: ['SEED=-1'] };
    const { code, out } = await run(2, { output: join(folder, 'other'), ...first, ofLast }).end;
    expect(code).not.toBe(0);
    expect(out).toMatch(/the training annotations: rank 0 has SHA-256 [0-9a-f]{16}, rank 1 SHA-256/);
    expect(out).toContain('SEED: rank 0 has -1, rank 1 3');
    expect(out).toContain('SOLVER.MAX_ITER: rank 0 has 4, rank 1 5');
    expect(out).not.toContain('saved');
    const batch = await run(2, { output: join(folder, 'odd'), overrides: ['SOLVER.IMS_PER_BATCH=3'] }).end;
    expect(batch.code).not.toBe(0);
    expect(batch.out).toContain(
      'SOLVER.IMS_PER_BATCH is 3, the pictures of a step over all processes; 2 processes do not divide it',
    );
  });

  it(
    'ends after the same step everywhere where one is asked to, and goes on in one process as if it had been one',
    { timeout: 300_000 },
    async () => {
      const read = (output: string) =>
        JSON.parse(readFileSync(join(output, 'together.json'), 'utf8')) as { losses: Record<string, number>[] };
      const [stopped, two, one] = ['stopped', 'two', 'one'].map((name) => join(folder, name)) as [string, string, string];
      const early = await run(2, { output: stopped, stopAt: 2 }).end;
      expect(early.code, early.out).toBe(0);
      expect(read(stopped).losses).toHaveLength(2);
      expect(early.out).toContain('iteration_0000002');
      // The rest in one process is what one process alone does.
      const rest = await run(1, { output: stopped, resume: true }).end;
      expect(rest.code, rest.out).toBe(0);
      expect((await run(1, { output: one }).end).code).toBe(0);
      expect((await run(2, { output: two }).end).code).toBe(0);
      const whole = read(one);
      expect(whole.losses).toHaveLength(4);
      for (const [found, wanted] of [
        [read(stopped).losses, whole.losses.slice(2)],
        [read(two).losses, whole.losses],
      ] as const)
        wanted.forEach((step, i) => {
          for (const [name, value] of Object.entries(step)) expect(found[i]![name]! / value, name).toBeCloseTo(1, 5);
        });
    },
  );

  it(
    'goes on with any other number of processes as if it had been one: from one to four, then to two',
    { timeout: 300_000 },
    async () => {
      const steps = (output: string) =>
        (JSON.parse(readFileSync(join(output, 'together.json'), 'utf8')) as { losses: Record<string, number>[] }).losses;
      // Written for two devices: two pictures for each, half the rate for half of them. It is fitted once, to the number of the first start.
      const overrides = [
        'SOLVER.IMS_PER_BATCH=8',
        'SOLVER.REFERENCE_WORLD_SIZE=2',
        'SOLVER.MAX_ITER=3',
        'SOLVER.CHECKPOINT_PERIOD=3',
      ];
      const [whole, moved] = [join(folder, 'whole'), join(folder, 'moved')];
      const single = await run(1, { output: whole, overrides }).end;
      expect(single.code, single.out).toBe(0);
      const wanted = steps(whole);
      // Half of the batch, twice as many steps.
      expect(wanted).toHaveLength(6);
      const found: Record<string, number>[] = [];
      for (const [processes, resume, stopAt] of [
        [1, false, 2],
        [4, true, 4],
        [2, true, undefined],
      ] as const) {
        const job = await run(processes, { output: moved, overrides, resume, ...(stopAt ? { stopAt } : {}) }).end;
        expect(job.code, job.out).toBe(0);
        found.push(...steps(moved));
      }
      expect(found).toHaveLength(6);
      wanted.forEach((step, i) => {
        for (const [name, value] of Object.entries(step))
          expect(found[i]![name]! / value, `${name} of step ${i}`).toBeCloseTo(1, 5);
      });
    },
  );
});
