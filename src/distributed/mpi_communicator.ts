import { BackendError } from '../errors.js';
import type { Communicator } from './communicator.js';
import type { Launch } from './launch.js';
import { loadMpi, type MpiLibrary } from './mpi_library.js';

/** All processes of an MPI job (`MPI_COMM_WORLD`). Calls block this thread until the slowest rank has come. */
export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;

  private constructor(private readonly mpi: MpiLibrary) {
    const [rank, size] = [[0], [0]];
    this.check('MPI_Comm_rank', mpi.commRank(mpi.world, rank));
    this.check('MPI_Comm_size', mpi.commSize(mpi.world, size));
    [this.rank, this.size] = [rank[0], size[0]];
  }

  /** Joins the job that this process was started for. @throws BackendError where koffi or MPI is missing */
  static async join(launch: Launch): Promise<MpiCommunicator> {
    const mpi = await loadMpi(launch);
    if (mpi.init(null, null) !== 0) throw new BackendError(`MPI_Init of ${mpi.name} failed.`);
    const joined = new MpiCommunicator(mpi);
    if (joined.size !== launch.size)
      throw new BackendError(
        `${launch.by} started ${launch.size} processes, ${mpi.name} knows of ${joined.size}: it is another MPI than the one of ${launch.by}. ` +
          'Name the right library in MASKRCNN_MPI_LIBRARY, or start with the mpirun that belongs to it.',
      );
    return joined;
  }

  sum(values: Float32Array | Float64Array): void {
    this.reduce(values, this.mpi.sum);
  }

  max(values: Float64Array): void {
    this.reduce(values, this.mpi.max);
  }

  broadcast(bytes: Uint8Array): Uint8Array {
    const { mpi } = this;
    const length = Float64Array.of(bytes.length);
    this.check('MPI_Bcast', mpi.broadcast(length, 1, mpi.float64, 0, mpi.world));
    const all = this.rank === 0 ? bytes : new Uint8Array(length[0]);
    if (all.length > 0) this.check('MPI_Bcast', mpi.broadcast(all, all.length, mpi.byte, 0, mpi.world));
    return all;
  }

  gather(bytes: Uint8Array): Uint8Array[] {
    const { mpi, size } = this;
    const counts = new Int32Array(size);
    const own = Int32Array.of(bytes.length);
    this.check('MPI_Allgather', mpi.allgather(own, 1, mpi.int32, counts, 1, mpi.int32, mpi.world));
    const starts = new Int32Array(size);
    for (let i = 1; i < size; i++) starts[i] = starts[i - 1] + counts[i - 1];
    const all = new Uint8Array(starts[size - 1] + counts[size - 1]);
    this.check('MPI_Allgatherv', mpi.allgatherv(bytes, bytes.length, mpi.byte, all, counts, starts, mpi.byte, mpi.world));
    return Array.from(counts, (count, i) => all.subarray(starts[i], starts[i] + count));
  }

  barrier(): void {
    this.check('MPI_Barrier', this.mpi.barrier(this.mpi.world));
  }

  /** Leaves the job; all ranks do, and no collective is called afterwards. */
  finalize(): void {
    this.check('MPI_Finalize', this.mpi.finalize());
  }

  private reduce(values: Float32Array | Float64Array, operation: unknown): void {
    const { mpi } = this;
    const type = values instanceof Float32Array ? mpi.float32 : mpi.float64;
    this.check('MPI_Allreduce', mpi.allreduce(mpi.inPlace, values, values.length, type, operation, mpi.world));
  }

  private check(call: string, code: number): void {
    if (code !== 0) throw new BackendError(`${call} failed with code ${code} (${this.mpi.name}).`);
  }
}
