import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../src/errors.js';
import { ownsBatch, parseShard, refuseCopies } from '../../src/sharding/shard.js';
import fc from '../properties.js';

describe('parseShard', () => {
  it.each([
    ['0/4', {}, { index: 0, count: 4 }],
    ['3/4', {}, { index: 3, count: 4 }],
    // What is given counts, whatever the scheduler says.
    ['1/2', { SLURM_ARRAY_TASK_ID: '7' }, { index: 1, count: 2 }],
    ['auto', { SLURM_ARRAY_TASK_ID: '0', SLURM_ARRAY_TASK_COUNT: '4', SLURM_ARRAY_TASK_MIN: '0' }, { index: 0, count: 4 }],
    // --array=1-4
    ['auto', { SLURM_ARRAY_TASK_ID: '4', SLURM_ARRAY_TASK_COUNT: '4', SLURM_ARRAY_TASK_MIN: '1' }, { index: 3, count: 4 }],
    // --array=10-30:10
    [
      'auto',
      { SLURM_ARRAY_TASK_ID: '20', SLURM_ARRAY_TASK_COUNT: '3', SLURM_ARRAY_TASK_MIN: '10', SLURM_ARRAY_TASK_STEP: '10' },
      { index: 1, count: 3 },
    ],
    // --array=2 of an array of 4 that is submitted again
    ['auto/4', { SLURM_ARRAY_TASK_ID: '2', SLURM_ARRAY_TASK_COUNT: '1', SLURM_ARRAY_TASK_MIN: '2' }, { index: 2, count: 4 }],
    ['auto/8', { JOB_COMPLETION_INDEX: '7' }, { index: 7, count: 8 }],
    ['auto', { JOB_COMPLETION_INDEX: '2', JOB_COMPLETIONS: '3' }, { index: 2, count: 3 }],
    ['auto', { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '2' }, { index: 1, count: 2 }],
    ['auto', { PMI_RANK: '5', PMI_SIZE: '6' }, { index: 5, count: 6 }],
    // Job 1 of an array of 3, with two ranks each.
    [
      'auto',
      {
        SLURM_ARRAY_TASK_ID: '1',
        SLURM_ARRAY_TASK_COUNT: '3',
        SLURM_ARRAY_TASK_MIN: '0',
        OMPI_COMM_WORLD_RANK: '1',
        OMPI_COMM_WORLD_SIZE: '2',
      },
      { index: 3, count: 6 },
    ],
    ['auto/6', { JOB_COMPLETION_INDEX: '2', PMI_RANK: '0', PMI_SIZE: '2' }, { index: 4, count: 6 }],
  ])('%s with %o', (text, env, shard) => {
    expect(parseShard(text, env)).toEqual(shard);
  });

  it.each([
    ['4/4', {}, /counts? from 0/],
    ['0/0', {}, /shard 0 of 0/],
    ['1', {}, /expected i\/n/],
    ['-1/3', {}, /expected i\/n/],
    ['1/2/3', {}, /expected i\/n/],
    ['auto', {}, /finds no job scheduler/],
    ['auto', { JOB_COMPLETION_INDEX: '2' }, /--shard auto\/n/],
    ['auto/2', { JOB_COMPLETION_INDEX: '2' }, /shard 2 of 2/],
    // --array=1,3,7 has gaps.
    ['auto', { SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_COUNT: '3', SLURM_ARRAY_TASK_MIN: '1' }, /without gaps/],
    ['auto', { OMPI_COMM_WORLD_RANK: '1' }, /OMPI_COMM_WORLD_SIZE is not;/],
    ['auto/3', { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '2' }, /makes 2 shards/],
    ['auto', { PMI_RANK: 'x', PMI_SIZE: '2' }, /PMI_RANK is 'x'/],
  ])('refuses %s with %o', (text, env, message) => {
    expect(() => parseShard(text, env)).toThrow(message);
    expect(() => parseShard(text, env)).toThrow(ArgumentError);
  });
});

it('every batch has one owner, and no shard has two more than another', () => {
  fc.assert(
    fc.property(fc.nat(200), fc.integer({ min: 1, max: 20 }), (batches, count) => {
      const sizes = Array.from({ length: count }, (_, index) =>
        Array.from({ length: batches }, (_unused, batch) => Number(ownsBatch({ index, count }, batch))).reduce(
          (a, b) => a + b,
          0,
        ),
      );
      expect(sizes.reduce((a, b) => a + b, 0)).toBe(batches);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
  );
});

it('copies of one run under mpirun are refused, one process is not', () => {
  const env = { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4' };
  expect(() => refuseCopies('evaluate', env)).toThrow(/mpirun has started 4 processes, .* maskrcnn evaluate .* --shard auto/);
  expect(() => refuseCopies('merge', env)).toThrow(/Run it without mpirun/);
  refuseCopies('predict', { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '1' });
  refuseCopies('predict', {});
});
