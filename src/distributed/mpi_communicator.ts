import { BackendError } from '../errors.js';
import type { Communicator } from './communicator.js';
import type { Launch } from './launch.js';
import { BackgroundSums } from './background_sums.js';
import { loadMpi, type MpiLibrary } from './mpi_library.js';

/** MPI_THREAD_SERIALIZED: several threads, one call at a time. */
const SERIALIZED = 2;

/** All processes of an MPI job (`MPI_COMM_WORLD`). Calls block this thread until the slowest rank has come. */
export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** Missing where the library lets only the thread that began call it. */
  readonly startSum?: NonNullable<Communicator['startSum']>;
  private background: BackgroundSums | undefined;

  private constructor(
    private readonly library: MpiLibrary,
    launch: Launch,
    threads: number,
  ) {
    const [rank, size] = [[0], [0]];
    this.check('MPI_Comm_rank', library.commRank(library.world, rank));
    this.check('MPI_Comm_size', library.commSize(library.world, size));
    [this.rank, this.size] = [rank[0], size[0]];
    if (threads >= SERIALIZED)
      this.startSum = (values) => {
        const wait = (this.background ??= new BackgroundSums(launch)).start(values as Float32Array<SharedArrayBuffer>);
        return () => this.check('MPI_Allreduce', wait());
      };
  }

  /** MPI for this thread, once no other one calls it. */
  private get mpi(): MpiLibrary {
    this.background?.drain();
    return this.library;
  }

  /** Joins the job that this process was started for. @throws BackendError where koffi or MPI is missing */
  static async join(launch: Launch): Promise<MpiCommunicator> {
    const mpi = await loadMpi(launch);
    const threads = [0];
    if (mpi.initThread(null, null, SERIALIZED, threads) !== 0) throw new BackendError(`MPI_Init_thread of ${mpi.name} failed.`);
    const joined = new MpiCommunicator(mpi, launch, threads[0]);
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
    const starts = startsOf(counts);
    const all = new Uint8Array(starts[size - 1] + counts[size - 1]);
    this.check('MPI_Allgatherv', mpi.allgatherv(bytes, bytes.length, mpi.byte, all, counts, starts, mpi.byte, mpi.world));
    return Array.from(counts, (count, i) => all.subarray(starts[i], starts[i] + count));
  }

  gatherToFirst(bytes: Uint8Array): Uint8Array[] {
    const { mpi, size, rank } = this;
    const counts = new Int32Array(size);
    const own = Int32Array.of(bytes.length);
    this.check('MPI_Gather', mpi.gather(own, 1, mpi.int32, counts, 1, mpi.int32, 0, mpi.world));
    // All zeros but on rank 0.
    const starts = startsOf(counts);
    const all = new Uint8Array(starts[size - 1] + counts[size - 1]);
    this.check('MPI_Gatherv', mpi.gatherv(bytes, bytes.length, mpi.byte, all, counts, starts, mpi.byte, 0, mpi.world));
    return rank > 0 ? [] : Array.from(counts, (count, i) => all.subarray(starts[i], starts[i] + count));
  }

  barrier(): void {
    this.check('MPI_Barrier', this.mpi.barrier(this.mpi.world));
  }

  /** Leaves the job; all ranks do, and no collective is called afterwards. */
  async finalize(): Promise<void> {
    await this.background?.end();
    this.check('MPI_Finalize', this.library.finalize());
  }

  private reduce(values: Float32Array | Float64Array, operation: unknown): void {
    const { mpi } = this;
    const type = values instanceof Float32Array ? mpi.float32 : mpi.float64;
    this.check('MPI_Allreduce', mpi.allreduce(mpi.inPlace, values, values.length, type, operation, mpi.world));
  }

  private check(call: string, code: number): void {
    if (code !== 0) throw new BackendError(`${call} failed with code ${code} (${this.library.name}).`);
  }
}

/** Where each part begins, one behind the other. */
function startsOf(counts: Int32Array): Int32Array {
  const starts = new Int32Array(counts.length);
  for (let i = 1; i < counts.length; i++) starts[i] = starts[i - 1] + counts[i - 1];
  return starts;
}
