import { describe, expect, it } from 'vitest';
import { mpiLaunch } from '../../src/distributed/launch.js';

describe('mpiLaunch', () => {
  it('sees a process that stands alone', () => {
    expect(mpiLaunch({ PATH: '/bin', SLURM_NTASKS: '4' })).toBeUndefined();
    expect(mpiLaunch({ OMPI_COMM_WORLD_RANK: '', OMPI_COMM_WORLD_SIZE: '' })).toBeUndefined();
  });

  it('reads what Open MPI, MPICH and Slurm set', () => {
    expect(mpiLaunch({ OMPI_COMM_WORLD_RANK: '3', OMPI_COMM_WORLD_SIZE: '4' })).toEqual({ by: 'mpirun', rank: 3, size: 4 });
    const OMPI = { OMPI_COMM_WORLD_RANK: '3', OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_LOCAL_SIZE: '2' };
    expect(mpiLaunch(OMPI)).toEqual({ by: 'mpirun', rank: 3, size: 4, local: 2 });
    expect(mpiLaunch({ PMI_RANK: '0', PMI_SIZE: '2' })).toEqual({ by: 'mpiexec', rank: 0, size: 2 });
    expect(mpiLaunch({ PMIX_RANK: '7', SLURM_NTASKS: '8' })).toEqual({ by: 'srun', rank: 7, size: 8 });
  });
});
