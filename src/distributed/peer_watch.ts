import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { Worker } from 'node:worker_threads';
import { workerModule } from '../worker_module.js';
import type { Communicator } from './communicator.js';
import { CountedCommunicator } from './counted_communicator.js';
import type { WatchAddress, WatchAnswer, WatchOptions, WatchOrder } from './watch_messages.js';

/**
 * Ends this process with a message where another rank fails, is gone or hangs: in MPI it would be waited for without end. A thread of its own holds a
 * connection between every rank and rank 0.
 */
export class PeerWatch {
  private failed = false;

  private constructor(
    private readonly worker: Worker,
    private readonly unwatched: Communicator,
    /** The calls that go through this one are watched. */
    readonly communicator: Communicator,
    private readonly print: (line: string) => void,
  ) {
    // Its connections close with it: the others end, and name this rank.
    worker.on('error', ({ message }) => {
      this.failed = true;
      this.print(`WARNING: the thread of rank ${communicator.rank} that watches over the other processes failed: ${message}`);
    });
  }

  /**
   * Collective.
   * @param print takes a line where a rank cannot be watched
   * @param timeout milliseconds that others wait for a rank before it is held to hang
   */
  static async begin(communicator: Communicator, print: (line: string) => void, timeout: number): Promise<PeerWatch> {
    const { rank, size } = communicator;
    const position = new Int32Array(new SharedArrayBuffer(4));
    const options: WatchOptions = {
      rank,
      size,
      who: `process ${process.pid} on ${hostname()}`,
      token: randomBytes(16).toString('hex'),
      position,
      timeout,
    };
    const worker = new Worker(workerModule('watch_thread', import.meta.url), { workerData: options });
    const watch = new PeerWatch(worker, communicator, new CountedCommunicator(communicator, position), print);
    const { address: own, problem } = await watch.answer();
    const told = communicator.broadcast(new TextEncoder().encode(JSON.stringify(own ?? null)));
    const address = JSON.parse(new TextDecoder().decode(told)) as WatchAddress | null;
    const unjoined = rank > 0 && address !== null ? (await watch.order({ do: 'join', address })).problem : problem;
    if (unjoined !== undefined) print(`WARNING: ${unjoined}.`);
    // A thread that has nothing to say does not keep the process alive.
    worker.unref();
    communicator.barrier();
    return watch;
  }

  /** Tells all others to end, and why; returns once they were told. */
  async fail(reason: string): Promise<void> {
    await this.order({ do: 'fail', reason });
    await this.worker.terminate();
  }

  /** Ends the watch before the rank leaves. Collective. */
  async end(): Promise<void> {
    await this.order({ do: 'leave' });
    this.unwatched.barrier();
    await this.worker.terminate();
  }

  private order(order: WatchOrder): Promise<WatchAnswer> {
    this.worker.postMessage(order);
    return this.answer();
  }

  /** What the thread answers; nothing where it failed, which was said. */
  private async answer(): Promise<WatchAnswer> {
    if (this.failed) return {};
    this.worker.ref();
    try {
      const [answer] = (await once(this.worker, 'message')) as [WatchAnswer];
      return answer;
    } catch {
      return {};
    } finally {
      this.worker.unref();
    }
  }
}
