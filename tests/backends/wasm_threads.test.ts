import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { threadCount } from '../../src/backends/wasm_threads.js';
import { ArgumentError } from '../../src/errors.js';

const child = (threads: string): { count: number; sum: number } => {
  const script = fileURLToPath(new URL('./threads_child.ts', import.meta.url));
  const printed = execFileSync(process.execPath, ['--import', 'tsx', script], {
    encoding: 'utf8',
    env: { ...process.env, MASKRCNN_WASM_THREADS: threads },
    timeout: 60_000,
  });
  return JSON.parse(printed.trim().split('\n').at(-1)!) as { count: number; sum: number };
};

describe('the number of threads of wasm', () => {
  it('is what the environment says, else the number of processors up to 8', async () => {
    const told = (MASKRCNN_WASM_THREADS: string) => threadCount({ MASKRCNN_WASM_THREADS });
    expect(await told('3')).toBe(3);
    expect(await told('')).toBe(Math.min(8, availableParallelism()));
    for (const wrong of ['0', '-1', '2.5', 'all']) await expect(told(wrong)).rejects.toThrow(ArgumentError);
    await expect(told('0')).rejects.toThrow(/MASKRCNN_WASM_THREADS='0'.*whole number/);
  });

  it('is an equal part of the processors for each process of an MPI job on the machine', async () => {
    const part = (sharers: number) => Math.max(1, Math.min(8, availableParallelism(), Math.floor(cpus().length / sharers)));
    expect(await threadCount({ OMPI_COMM_WORLD_LOCAL_SIZE: '2' })).toBe(part(2));
    expect(await threadCount({ MPI_LOCALNRANKS: '1000' })).toBe(1);
    expect(await threadCount({ OMPI_COMM_WORLD_LOCAL_SIZE: '1' })).toBe(part(1));
    expect(await threadCount({ OMPI_COMM_WORLD_LOCAL_SIZE: '4', MASKRCNN_WASM_THREADS: '3' })).toBe(3);
  });

  it('does not change the result, and a process with threads ends by itself', () => {
    const [one, three] = [child('1'), child('3')];
    expect([one.count, three.count]).toEqual([1, 3]);
    expect(three.sum).toBe(one.sum);
  });
});
