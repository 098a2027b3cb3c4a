import { availableParallelism, cpus } from 'node:os';
import type { Communicator } from './communicator.js';
import type { Launch } from './launch.js';
import { MpiCommunicator } from './mpi_communicator.js';
import { PeerWatch } from './peer_watch.js';

/** This process's place in an MPI job, from joining it to leaving it. */
export class World {
  private constructor(
    private readonly mpi: MpiCommunicator,
    private readonly watch: PeerWatch,
    private readonly launch: Launch,
  ) {}

  get communicator(): Communicator {
    return this.watch.communicator;
  }

  /**
   * Joins the job. Collective.
   * @param print takes lines for people
   * @param timeout seconds that others wait for a process, which may compute or write that long, before all end because it hangs
   * @throws BackendError where koffi or MPI is missing
   */
  static async join(launch: Launch, print: (line: string) => void, timeout = 600): Promise<World> {
    const communicator = await MpiCommunicator.join(launch);
    const [usable, all] = [availableParallelism(), cpus().length];
    if (communicator.rank === 0 && usable === 1 && all > launch.size)
      print(
        `WARNING: ${launch.by} keeps this process on 1 of ${all} processors; with --bind-to none it uses those that the others leave.`,
      );
    return new World(communicator, await PeerWatch.begin(communicator, print, timeout * 1000), launch);
  }

  get isFirst(): boolean {
    return this.communicator.rank === 0;
  }

  /** Whether processes are on other machines than this one, as far as the starter says. */
  get spansMachines(): boolean {
    const { local, size } = this.launch;
    return local !== undefined && local < size;
  }

  /** Leaves the job; all ranks do. */
  async leave(): Promise<void> {
    await this.watch.end();
    await this.mpi.finalize();
  }

  /** Ends the other ranks with this rank's reason; this process should end then, without leaving. */
  async fail(error: unknown): Promise<void> {
    const { rank, size } = this.communicator;
    await this.watch.fail(`rank ${rank} of ${size} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}
