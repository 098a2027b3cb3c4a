import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Why tests of several processes are skipped here; undefined where MPI is installed, or where MASKRCNN_REQUIRE_MPI=1 lets them fail instead.
 * MASKRCNN_REQUIRE_MPI=0 leaves them to another run.
 */
export function mpiReason(): string | undefined {
  if (process.env.MASKRCNN_REQUIRE_MPI === '1') return undefined;
  if (process.env.MASKRCNN_REQUIRE_MPI === '0') return 'skipped: MASKRCNN_REQUIRE_MPI=0';
  const found = spawnSync('mpirun', ['--version'], { encoding: 'utf8' });
  return found.status === 0 ? undefined : 'skipped: mpirun is not installed (Debian: openmpi-bin, libopenmpi3)';
}

/**
 * Where MPI is asked for, nothing that is compared with may be missing: the golden numbers where MASKRCNN_REQUIRE_GOLDEN=1 asks for them, the native backend
 * where MASKRCNN_REQUIRE_NATIVE=1 does.
 */
export function failOnMissing(golden: string | undefined, devices: readonly string[]): void {
  if (process.env.MASKRCNN_REQUIRE_MPI !== '1') return;
  if (process.env.MASKRCNN_REQUIRE_GOLDEN === '1' && golden === undefined)
    throw new Error('MASKRCNN_REQUIRE_GOLDEN=1, and ../shared/golden is missing: nothing to compare with');
  if (process.env.MASKRCNN_REQUIRE_NATIVE === '1' && !devices.includes('tensorflow'))
    throw new Error('MASKRCNN_REQUIRE_NATIVE=1, and @tensorflow/tfjs-node does not load: run `maskrcnn setup`');
}

/** A job that was started: what it prints so far, and its end. */
export interface Job {
  /** The process of mpirun. */
  readonly process: number;
  /** Both streams of all ranks, as they come. */
  output(): string;
  readonly end: Promise<{ readonly code: number | null; readonly out: string }>;
}

/** Starts a script of this folder, or a file of the sources, in so many processes. Ranks share two cores here: one thread each. */
export function mpirun(processes: number, script: string, args: readonly string[], env: Record<string, string> = {}): Job {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(
    'mpirun',
    [
      '--allow-run-as-root',
      '--oversubscribe',
      '--bind-to',
      'none',
      '-n',
      String(processes),
      process.execPath,
      '--import',
      'tsx',
      file,
      ...args,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Waiting ranks give the cores to those that compute.
      env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: '1', ...env },
    },
  );
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
  return {
    process: child.pid!,
    output: () => out,
    end: new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, out }));
    }),
  };
}
