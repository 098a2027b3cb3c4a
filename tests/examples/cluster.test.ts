import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { buildProgram } from '../../src/cli/program.js';
import { parseShard } from '../../src/sharding/shard.js';
import { SCHEMAS } from './cluster_schemas.js';

const cluster = fileURLToPath(new URL('../../examples/cluster', import.meta.url));
const files = readdirSync(cluster);
const read = (name: string) => readFileSync(join(cluster, name), 'utf8');
const manifests = files.filter((name) => name.endsWith('.yaml'));
const scripts = files.filter((name) => name.endsWith('.sh'));
const folder = mkdtempSync(join(tmpdir(), 'cluster-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Container {
  command: string[];
  args?: string[];
  volumeMounts: { name: string }[];
}
interface Manifest {
  kind: string;
  spec: {
    completions: number;
    slotsPerWorker: number;
    mpiReplicaSpecs: Record<'Launcher' | 'Worker', { replicas: number; template: { spec: { containers: Container[] } } }>;
    template: { spec: { containers: Container[] } };
  };
}
const manifest = (name: string) => parse(read(name)) as Manifest;
const check = new Ajv({ allErrors: true });
const problems = (value: { kind: string }): string[] =>
  check.validate(SCHEMAS[value.kind]!, value) ? [] : check.errors!.map(({ dataPath, message }) => `${dataPath} ${message}`);

/** Every place of a document where a key could be misspelt. */
function keys(node: unknown, path: string[] = []): string[][] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => [
    ...(Array.isArray(node) ? [] : [[...path, key]]),
    ...keys(value, [...path, key]),
  ]);
}

/** What the command line makes of arguments, without doing it. */
async function parsed(args: readonly string[]): Promise<{ options: Record<string, unknown>; rest: string[] }> {
  const program = await buildProgram();
  const command = program.commands.find((each) => each.name() === args[0])!;
  let seen: { options: Record<string, unknown>; rest: string[] } | undefined;
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  command.action(() => void (seen = { options: command.opts(), rest: command.args }));
  await program.parseAsync([...args], { from: 'user' });
  return seen!;
}

/** Runs a script with stand-ins for the programs of a cluster; each writes its arguments, a line each, into a file of its name. */
function start(script: string, home: string, standIns: Record<string, string>) {
  mkdirSync(join(home, 'bin'), { recursive: true });
  for (const [name, body] of Object.entries(standIns)) {
    writeFileSync(join(home, 'bin', name), `#!/usr/bin/env bash\nprintf '%s\\n' "$@" > "$HOME/${name}"\n${body}\n`);
    chmodSync(join(home, 'bin', name), 0o755);
  }
  const env = { PATH: `${join(home, 'bin')}:${process.env.PATH}`, HOME: home, SLURM_JOB_ID: '77', SLURM_CPUS_PER_TASK: '16' };
  return spawn('bash', [script], { env, stdio: 'ignore' });
}
const ended = (child: ReturnType<typeof spawn>) => new Promise((resolve) => child.on('exit', resolve));
const given = (home: string, name: string) => readFileSync(join(home, name), 'utf8').trimEnd().split('\n');
const afterName = (args: readonly string[]) => args.slice(args.indexOf('maskrcnn') + 1);

describe.each(manifests)('%s', (name) => {
  it('is valid, and no longer so with any key misspelt', () => {
    expect(problems(manifest(name))).toEqual([]);
    const paths = keys(manifest(name));
    expect(paths.length).toBeGreaterThan(15);
    for (const path of paths) {
      const broken = manifest(name);
      const parent = path.slice(0, -1).reduce((node: object, key) => (node as Record<string, object>)[key]!, broken);
      const last = path.at(-1)!;
      Object.assign(parent, { [`${last}s`]: (parent as Record<string, unknown>)[last] });
      delete (parent as Record<string, unknown>)[last];
      // A kind that is misspelt has no schema.
      if (last !== 'kind') expect(problems(broken), path.join('.')).not.toEqual([]);
    }
  });
});

describe('the manifests', () => {
  it('give the command line options that it has, and as many shares as there are pods', async () => {
    const { spec } = manifest('kubernetes_shards.yaml');
    const { command, args } = spec.template.spec.containers[0]!;
    const { options } = await parsed([...command.slice(1), ...args!]);
    const last = { JOB_COMPLETION_INDEX: String(spec.completions - 1) };
    expect(parseShard(options.shard as string, last)).toEqual({ index: spec.completions - 1, count: spec.completions });
    const merge = manifest('kubernetes_merge.yaml').spec.template.spec.containers[0]!;
    const { rest } = await parsed([...merge.command.slice(1), ...merge.args!]);
    expect(rest).toEqual([options.output]);
  });

  it('start one process in every pod that trains, and go on where a checkpoint is', async () => {
    const { slotsPerWorker, mpiReplicaSpecs } = manifest('kubernetes_train.yaml').spec;
    const launcher = mpiReplicaSpecs.Launcher.template.spec.containers[0]!;
    expect(launcher.command).toEqual(['bash', '-c']);
    const run = join(folder, 'launcher');
    const script = join(folder, 'launcher.sh');
    writeFileSync(script, launcher.args![0]!.replaceAll('/data/', `${run}/`));
    expect(await ended(start(script, run, { mpirun: '' }))).toBe(0);
    const args = given(run, 'mpirun');
    expect(args[args.indexOf('-n') + 1]).toBe(String(mpiReplicaSpecs.Worker.replicas * slotsPerWorker));
    const first = await parsed(afterName(args));
    expect(first.options).toMatchObject({ output: `${run}/runs/first`, valImages: `${run}/val` });
    expect(first.rest).toEqual(['SOLVER.IMS_PER_BATCH=16', 'SOLVER.BASE_LR=0.02']);
    mkdirSync(join(run, 'runs/first'), { recursive: true });
    writeFileSync(join(run, 'runs/first/last_checkpoint'), '');
    expect(await ended(start(script, run, { mpirun: '' }))).toBe(0);
    const again = await parsed(afterName(given(run, 'mpirun')));
    expect(again).toMatchObject({ options: { output: first.options.output, resume: true }, rest: [] });
    expect(again.options).not.toHaveProperty('config');
  });
});

describe('the Slurm scripts', () => {
  it.each(scripts)('%s is a script that bash can read', (name) => {
    expect(spawnSync('bash', ['-n', join(cluster, name)], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  it('hand USR2 on to mpirun, put the job back into the queue, and end with its code', async () => {
    const home = join(folder, 'slurm');
    const standIn = `trap 'exit 140' USR2; touch "$HOME/ready"; while :; do sleep 0.05; done`;
    const child = start(join(cluster, 'slurm_train.sh'), home, { mpirun: standIn, scontrol: '' });
    while (!existsSync(join(home, 'ready'))) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGUSR2');
    expect(await ended(child)).toBe(140);
    expect(given(home, 'scontrol')).toEqual(['requeue', '77']);
    const { options } = await parsed(afterName(given(home, 'mpirun')));
    expect(options).toMatchObject({ output: `${home}/runs/first`, trainJson: `${home}/data/train.json` });
  });

  it('end with the code of a training that failed, which is not queued again', async () => {
    const home = join(folder, 'failed');
    expect(await ended(start(join(cluster, 'slurm_train.sh'), home, { mpirun: 'exit 3', scontrol: '' }))).toBe(3);
    expect(existsSync(join(home, 'scontrol'))).toBe(false);
  });

  it('deal out as many shares as the array has', async () => {
    const home = join(folder, 'array');
    expect(await ended(start(join(cluster, 'slurm_shards.sh'), home, { maskrcnn: '' }))).toBe(0);
    const { options } = await parsed(given(home, 'maskrcnn'));
    const [, last] = /--array=0-(\d+)/.exec(read('slurm_shards.sh'))!;
    expect(parseShard(options.shard as string, { SLURM_ARRAY_TASK_ID: last! }).index).toBe(Number(last));
    expect(parseShard(options.shard as string, { SLURM_ARRAY_TASK_ID: '0' }).count).toBe(Number(last) + 1);
  });
});

it('the guide shows every file as it is', () => {
  const guide = readFileSync(fileURLToPath(new URL('../../docs/many_machines.md', import.meta.url)), 'utf8');
  for (const name of files) expect(guide, name).toContain(`\n${read(name)}\`\`\``);
});
