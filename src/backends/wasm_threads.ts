import { ArgumentError } from '../errors.js';
import type { StartThread } from '../ops/kernels/kernel_threads.js';

/** Says how many threads the large convolutions of wasm in Node take; 1 for none besides the caller's. */
const VARIABLE = 'MASKRCNN_WASM_THREADS';

/** Copying for the threads is one thread's work: beyond so many there is little to gain. */
const MOST = 8;

/** What starters of MPI programs say of the number of a job's processes on this machine. */
const ON_THIS_MACHINE = ['OMPI_COMM_WORLD_LOCAL_SIZE', 'MPI_LOCALNRANKS', 'SLURM_NTASKS_PER_NODE'];

/**
 * Threads for a process.
 * @param environment says how many; where it does not, the processors that the process may use, at most 8, of which the processes of an MPI job on the
 * machine have an equal part each
 * @throws ArgumentError where it is no whole number from 1 on
 */
export async function threadCount(environment: Readonly<Record<string, string | undefined>> = process.env): Promise<number> {
  const told = environment[VARIABLE];
  if (told === undefined || told === '') {
    const { availableParallelism, cpus } = await import('node:os');
    const sharers = ON_THIS_MACHINE.map((name) => Number(environment[name])).find((count) => count >= 1) ?? 1;
    const usable = Math.min(MOST, availableParallelism());
    // A process that its starter has bound to processors of its own need not share those.
    return sharers > 1 ? Math.max(1, Math.min(usable, Math.floor(cpus().length / sharers))) : usable;
  }
  if (!/^[1-9]\d{0,2}$/.test(told))
    throw new ArgumentError(`${VARIABLE}='${told}' is no number of threads. Set a whole number from 1 to 999, or unset it.`);
  return Number(told);
}

/** The whole program of a thread, so that there is no file to find. */
const PROGRAM = `const { workerData: { module, memory, slot } } = require('node:worker_threads');
new WebAssembly.Instance(module, { env: { memory } }).exports.serve(slot);`;

/** Starts threads of Node that do not keep the process alive. */
export async function nodeThreads(): Promise<StartThread> {
  const { Worker } = await import('node:worker_threads');
  return (task) => {
    // It needs nothing of the process: neither its flags, such as loaders of other languages, nor its environment.
    const worker = new Worker(PROGRAM, { eval: true, workerData: task, execArgv: [], env: {}, name: 'maskrcnn-kernels' });
    // A machine that gives no thread: what has not started takes no part.
    worker.on('error', () => undefined);
    worker.unref();
    return worker;
  };
}
