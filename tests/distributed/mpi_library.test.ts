import { execFile } from 'node:child_process';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import type { Launch } from '../../src/distributed/launch.js';
import { loadMpi } from '../../src/distributed/mpi_library.js';
import { BackendError } from '../../src/errors.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { mpiReason } from './mpirun.js';

const folder = mkdtempSync(join(tmpdir(), 'library-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => void vi.unstubAllEnvs());
const launch: Launch = { by: 'mpirun', rank: 1, size: 4 };

/** The command line in a process of its own, which prints in the end which of MPI's files it has loaded. */
function train(environment: Record<string, string>): Promise<{ code: number; out: string }> {
  const { json, images } = writeTinyData(folder);
  const config = join(folder, 'smallest.yaml');
  writeFileSync(config, SMALLEST_CONFIG);
  const look = join(folder, 'look.mjs');
  writeFileSync(
    look,
    `import { readFileSync } from 'node:fs';
     process.on('exit', () => {
       const maps = readFileSync('/proc/self/maps', 'utf8');
       console.log('LOADED', /koffi/.test(maps), /libmpi/.test(maps));
     });`,
  );
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const data = ['--config', config, '--weights', 'none', '--train-json', json, '--train-images', images];
  const args = ['--import', 'tsx', '--import', look, main, 'train', '--output', join(folder, 'run'), '--device', 'wasm', ...data];
  const others = Object.entries(process.env).filter(([name]) => !/^(OMPI|PMI|PMIX|SLURM)_/.test(name));
  return new Promise((resolve) =>
    execFile(process.execPath, args, { env: { ...Object.fromEntries(others), ...environment } }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, out: stdout + stderr }),
    ),
  );
}

describe('the library of MPI', () => {
  it('that is named and not there is named in the error, with what to install', async () => {
    vi.stubEnv('MASKRCNN_MPI_LIBRARY', '/nowhere/libmpi.so');
    const error = await loadMpi(launch).catch((reason: unknown) => reason as Error);
    expect(error).toBeInstanceOf(BackendError);
    expect((error as Error).message).toMatch(
      /^mpirun started this as one of 4 processes.*library cannot be loaded \(.*\/nowhere\/libmpi\.so.*\)\. Install Open MPI .*MASKRCNN_MPI_LIBRARY\.$/,
    );
  });

  it('that is named and is none is an error that says so', async () => {
    const file = join(folder, 'libmpi.so');
    writeFileSync(file, 'no library');
    vi.stubEnv('MASKRCNN_MPI_LIBRARY', file);
    await expect(loadMpi(launch)).rejects.toThrow(/library cannot be loaded \(.*libmpi\.so.*Install Open MPI/);
    // A library, but of something else.
    vi.stubEnv('MASKRCNN_MPI_LIBRARY', 'libm.so.6');
    await expect(loadMpi(launch)).rejects.toThrow(/library cannot be loaded \(.*MPI_.*Install Open MPI/);
  });

  it('is reached through koffi, whose absence is said with the command that helps', async () => {
    vi.doMock('koffi', () => {
      throw new Error('Cannot find package koffi');
    });
    vi.resetModules();
    const { loadMpi: load } = await import('../../src/distributed/mpi_library.js');
    await expect(load(launch)).rejects.toThrow(
      /npm package koffi is needed for that and cannot be loaded\. Run: npm install koffi$/,
    );
    vi.doUnmock('koffi');
    vi.resetModules();
  });

  it('is not loaded by a process that stands alone, nor koffi', { timeout: 300_000 }, async () => {
    const { code, out } = await train({ MASKRCNN_MPI_LIBRARY: '/nowhere/libmpi.so' });
    expect(code, out).toBe(0);
    expect(out).toContain('LOADED false false');
  });

  it.skipIf(mpiReason())('of another mpirun than the one that started the process is refused', { timeout: 300_000 }, async () => {
    // Started by nothing: Open MPI makes a job of one of it.
    const environment = {
      OMPI_COMM_WORLD_RANK: '0',
      OMPI_COMM_WORLD_SIZE: '2',
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    };
    const { code, out } = await train(environment);
    expect(code).not.toBe(0);
    expect(out).toMatch(
      /mpirun started 2 processes, libmpi\.so\.40 knows of 1: it is another MPI than the one of mpirun\. Name the right library/,
    );
  });
});
