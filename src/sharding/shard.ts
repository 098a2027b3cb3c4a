import { ArgumentError } from '../errors.js';

/** One of `count` equal shares of a piece of work, counted from 0. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** The variables that job schedulers and MPI tell a process its place with. */
export type ShardEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * Reads `--shard`: `i/n` counts from 0; `auto` takes both from the scheduler (Slurm's array, Kubernetes' indexed job) and MPI's rank, `auto/n`
 * where the environment does not tell how many there are. A job of an array that is itself started under MPI is divided among its ranks.
 * @throws ArgumentError that says what is wrong and how to write it
 */
export function parseShard(text: string, env: ShardEnvironment): Shard {
  const [first = '', second, ...more] = text.split('/');
  const count = second === undefined ? undefined : wholeNumber(second);
  const malformed = more.length > 0 || (second !== undefined && count === undefined);
  if (first === 'auto' && !malformed) return fromEnvironment(env, count);
  const index = wholeNumber(first);
  if (malformed || index === undefined || count === undefined)
    throw new ArgumentError(`--shard is '${text}'; expected i/n counted from 0, such as 0/4, or auto, or auto/4.`);
  return checked({ index, count }, `--shard ${text}`);
}

/**
 * @param command of `maskrcnn`
 * @throws ArgumentError in one of several processes that mpirun has started: all would do the same work and write the same files
 */
export function refuseCopies(command: 'evaluate' | 'predict' | 'merge', env: ShardEnvironment): void {
  const { count } = mpiRank(env) ?? { count: 1 };
  if (count < 2) return;
  const remedy =
    command === 'merge'
      ? 'Run it without mpirun.'
      : 'Give --shard auto, which divides the pictures among them, and join the parts with maskrcnn merge; or run it without mpirun.';
  throw new ArgumentError(`mpirun has started ${count} processes, which would all do the whole of maskrcnn ${command} and write the same files. ${remedy}`); // prettier-ignore
}

/** Whether batch `batch` (from 0) of a list belongs to a shard: they are dealt out in turn, so that all shards end at about the same time. */
export function ownsBatch({ index, count }: Shard, batch: number): boolean {
  return batch % count === index;
}

function fromEnvironment(env: ShardEnvironment, count: number | undefined): Shard {
  const ranks = mpiRank(env) ?? { index: 0, count: 1 };
  const job = arrayJob(env, count === undefined ? undefined : count / ranks.count);
  if (!job && mpiRank(env) === undefined)
    throw new ArgumentError(
      '--shard auto finds no job scheduler: SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, OMPI_COMM_WORLD_RANK and PMI_RANK are not set. Give --shard i/n.',
    );
  const all = job
    ? { index: job.index * ranks.count + ranks.index, count: job.count * ranks.count }
    : checked(ranks, "MPI's rank and size");
  if (count !== undefined && count !== all.count)
    throw new ArgumentError(
      `--shard auto/${count}, but the environment makes ${all.count} shards. Make them agree, or give --shard i/n.`,
    );
  return all;
}

/** @param given how many jobs there are, where the user said so */
function arrayJob(env: ShardEnvironment, given: number | undefined): Shard | undefined {
  const task = variable(env, 'SLURM_ARRAY_TASK_ID');
  const index = variable(env, 'JOB_COMPLETION_INDEX');
  if (task === undefined && index === undefined) return undefined;
  // With the number given the id counts from 0 itself, so that a part of the array can be submitted again.
  if (given !== undefined) return checked({ index: (task ?? index)!, count: given }, task === undefined ? 'JOB_COMPLETION_INDEX' : 'SLURM_ARRAY_TASK_ID'); // prettier-ignore
  if (task !== undefined) {
    const count = variable(env, 'SLURM_ARRAY_TASK_COUNT');
    if (count === undefined)
      throw new ArgumentError('SLURM_ARRAY_TASK_COUNT is not set; give the number of shards: --shard auto/n.');
    const step = variable(env, 'SLURM_ARRAY_TASK_STEP') ?? 1;
    const place = (task - (variable(env, 'SLURM_ARRAY_TASK_MIN') ?? 0)) / step;
    return checked({ index: place, count }, 'SLURM_ARRAY_TASK_ID (less SLURM_ARRAY_TASK_MIN, over SLURM_ARRAY_TASK_STEP)');
  }
  const count = variable(env, 'JOB_COMPLETIONS');
  if (count === undefined)
    throw new ArgumentError(
      "Kubernetes does not tell a job's pods how many they are; give the number of shards: --shard auto/n.",
    );
  return checked({ index: index!, count }, 'JOB_COMPLETION_INDEX');
}

/** The place of this process under Open MPI (and what follows its names), or under MPICH, Intel MPI and Slurm's PMI. */
function mpiRank(env: ShardEnvironment): Shard | undefined {
  for (const [rank, size] of [
    ['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'],
    ['PMI_RANK', 'PMI_SIZE'],
  ] as const) {
    const index = variable(env, rank);
    if (index === undefined) continue;
    const count = variable(env, size);
    if (count === undefined) throw new ArgumentError(`${rank} is set, but ${size} is not; give --shard i/n.`);
    return { index, count };
  }
  return undefined;
}

function variable(env: ShardEnvironment, name: string): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const value = wholeNumber(text);
  if (value === undefined) throw new ArgumentError(`${name} is '${text}'; expected a whole number.`);
  return value;
}

function checked(shard: Shard, what: string): Shard {
  const { index, count } = shard;
  if (Number.isInteger(index) && Number.isInteger(count) && index < count) return shard;
  throw new ArgumentError(
    `${what} makes shard ${index} of ${count}; shards count from 0, so the last of ${count} is ${count - 1}. Write Slurm arrays without gaps, such as --array=0-3.`,
  );
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
