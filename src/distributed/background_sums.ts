import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { workerModule } from '../worker_module.js';
import type { Launch } from './launch.js';
import { ASKED, CODE, DONE, type SumOptions } from './sum_messages.js';

/** Sums over all ranks that a thread of its own makes, one after another, while this one computes. */
export class BackgroundSums {
  private readonly worker: Worker;
  private readonly port: MessagePort;
  private readonly state = new Int32Array(new SharedArrayBuffer(12));
  private asked = 0;

  constructor(launch: Launch) {
    const { port1, port2 } = new MessageChannel();
    const options: SumOptions = { launch, state: this.state, port: port2 };
    this.worker = new Worker(workerModule('sum_thread', import.meta.url), { workerData: options, transferList: [port2] });
    this.port = port1;
    this.port.unref();
    this.worker.unref();
  }

  /**
   * @param values in shared memory; summed in place
   * @returns waits until they are, and gives MPI's code
   */
  start(values: Float32Array<SharedArrayBuffer>): () => number {
    this.port.postMessage(values);
    const number = ++this.asked;
    Atomics.add(this.state, ASKED, 1);
    Atomics.notify(this.state, ASKED);
    return () => this.waitFor(number);
  }

  /** Waits for all that was asked for: from then on this thread may call MPI. */
  drain(): void {
    this.waitFor(this.asked);
  }

  async end(): Promise<void> {
    this.drain();
    await this.worker.terminate();
    this.port.close();
  }

  private waitFor(number: number): number {
    for (let done = Atomics.load(this.state, DONE); done < number; done = Atomics.load(this.state, DONE))
      Atomics.wait(this.state, DONE, done);
    return Atomics.load(this.state, CODE);
  }
}
