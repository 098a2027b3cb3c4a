/** What the starter of this process says about it. */
export interface Launch {
  /** What started it, for messages. */
  readonly by: string;
  readonly rank: number;
  readonly size: number;
  /** Processes of the job on this machine; undefined where the starter does not say. */
  readonly local?: number;
}

/** Variables that starters of MPI programs set: rank, number of processes, and of those on this machine. */
const STARTERS = [
  { by: 'mpirun', rank: 'OMPI_COMM_WORLD_RANK', size: 'OMPI_COMM_WORLD_SIZE', local: 'OMPI_COMM_WORLD_LOCAL_SIZE' },
  { by: 'mpiexec', rank: 'PMI_RANK', size: 'PMI_SIZE', local: 'MPI_LOCALNRANKS' },
  { by: 'srun', rank: 'PMIX_RANK', size: 'SLURM_NTASKS', local: 'SLURM_NTASKS_PER_NODE' },
] as const;

/**
 * Whether this process is one of an MPI job: started by Open MPI's or MPICH's `mpirun`, or by Slurm's `srun` with MPI.
 * @returns undefined for a process that stands alone: nothing of MPI is loaded then
 */
export function mpiLaunch(environment: Readonly<Record<string, string | undefined>> = process.env): Launch | undefined {
  for (const { by, rank, size, local } of STARTERS) {
    const [own, all, here] = [rank, size, local].map((name) => Number(environment[name] || NaN));
    if (Number.isInteger(own) && Number.isInteger(all) && all > 0)
      return { by, rank: own, size: all, ...(Number.isInteger(here) && here > 0 ? { local: here } : {}) };
  }
  return undefined;
}
