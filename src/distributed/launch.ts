/** What the starter of this process says about it. */
export interface Launch {
  /** What started it, for messages. */
  readonly by: string;
  readonly rank: number;
  readonly size: number;
}

/** Variables that starters of MPI programs set: rank, then number of processes. */
const STARTERS = [
  { by: 'mpirun', rank: 'OMPI_COMM_WORLD_RANK', size: 'OMPI_COMM_WORLD_SIZE' },
  { by: 'mpiexec', rank: 'PMI_RANK', size: 'PMI_SIZE' },
  { by: 'srun', rank: 'PMIX_RANK', size: 'SLURM_NTASKS' },
] as const;

/**
 * Whether this process is one of an MPI job: started by Open MPI's or MPICH's `mpirun`, or by Slurm's `srun` with MPI.
 * @returns undefined for a process that stands alone: nothing of MPI is loaded then
 */
export function mpiLaunch(environment: Readonly<Record<string, string | undefined>> = process.env): Launch | undefined {
  for (const { by, rank, size } of STARTERS) {
    const [own, all] = [Number(environment[rank] || NaN), Number(environment[size] || NaN)];
    if (Number.isInteger(own) && Number.isInteger(all) && all > 0) return { by, rank: own, size: all };
  }
  return undefined;
}
