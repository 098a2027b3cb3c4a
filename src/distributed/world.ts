import { availableParallelism, cpus } from 'node:os';
import type { Launch } from './launch.js';
import { MpiCommunicator } from './mpi_communicator.js';
import { PeerWatch } from './peer_watch.js';

/** This process's place in an MPI job, from joining it to leaving it. */
export class World {
  private constructor(
    readonly communicator: MpiCommunicator,
    private readonly watch: PeerWatch,
  ) {}

  /**
   * Joins the job. Collective.
   * @param print takes lines for people
   * @throws BackendError where koffi or MPI is missing
   */
  static async join(launch: Launch, print: (line: string) => void): Promise<World> {
    const communicator = await MpiCommunicator.join(launch);
    const [usable, all] = [availableParallelism(), cpus().length];
    if (communicator.rank === 0 && usable === 1 && all > launch.size)
      print(
        `WARNING: ${launch.by} keeps this process on 1 of ${all} processors; with --bind-to none it uses those that the others leave.`,
      );
    return new World(communicator, await PeerWatch.begin(communicator, print));
  }

  get isFirst(): boolean {
    return this.communicator.rank === 0;
  }

  /** Leaves the job; all ranks do. */
  async leave(): Promise<void> {
    await this.watch.end();
    this.communicator.finalize();
  }

  /** Ends the other ranks with this rank's reason; this process should end then, without leaving. */
  async fail(error: unknown): Promise<void> {
    const { rank, size } = this.communicator;
    await this.watch.fail(`rank ${rank} of ${size} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}
