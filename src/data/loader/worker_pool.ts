import { Worker } from 'node:worker_threads';
import { ArgumentError, DatasetError } from '../../errors.js';
import type { TrainingSample } from '../../structures/training_sample.js';
import { workerModule } from '../../worker_module.js';
import type { SampleSource, SampleTask, SourceOptions } from './sample_source.js';
import { errorFrom, type WorkerAnswer, type WorkerRequest } from './worker_messages.js';

interface Waiting {
  resolve(sample: TrainingSample): void;
  reject(error: Error): void;
  readonly worker: Worker;
}

/**
 * Makes samples in threads. Which thread makes a sample does not matter for it: all that it depends on is in its task. Threads that have
 * nothing to do do not keep the process alive.
 */
export class WorkerPool implements SampleSource {
  private readonly workers: Worker[];
  private readonly load = new Map<Worker, number>();
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 0;
  private failure: Error | undefined;
  private closed = false;

  /** @param count number of threads */
  constructor(count: number, options: SourceOptions) {
    if (!(Number.isInteger(count) && count > 0))
      throw new ArgumentError(`A pool needs at least one worker thread, not ${count}.`);
    this.workers = Array.from({ length: count }, () => {
      const worker = new Worker(workerModule('sample_worker', import.meta.url), { workerData: options });
      this.load.set(worker, 0);
      worker.on('message', (answer: WorkerAnswer) => this.settle(answer));
      worker.on('error', (error) =>
        this.fail(new DatasetError(`A worker thread of the loader failed: ${error.message}`, { cause: error })),
      );
      worker.on('exit', (code) => this.fail(new DatasetError(`A worker thread of the loader ended with code ${code}.`)));
      worker.unref();
      return worker;
    });
  }

  make(task: SampleTask): Promise<TrainingSample> {
    const gone = this.failure ?? (this.closed ? new DatasetError('The loader is closed.') : undefined);
    if (gone) return Promise.reject(gone);
    const worker = this.workers.reduce((least, w) => (this.load.get(w)! < this.load.get(least)! ? w : least));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, worker });
      this.changeLoad(worker, 1);
      worker.postMessage({ id, task } satisfies WorkerRequest);
    });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.fail(new DatasetError('The loader was closed.'));
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private settle(answer: WorkerAnswer): void {
    const waiting = this.waiting.get(answer.id);
    if (!waiting) return;
    this.waiting.delete(answer.id);
    this.changeLoad(waiting.worker, -1);
    if ('error' in answer) waiting.reject(errorFrom(answer.error));
    else waiting.resolve(answer.sample);
  }

  /** A thread that is gone takes its samples with it; the order would not be the same without them, so the whole pool fails. */
  private fail(error: Error): void {
    if (this.failure) return;
    this.failure = error;
    for (const [, { reject }] of this.waiting) reject(error);
    this.waiting.clear();
  }

  private changeLoad(worker: Worker, by: number): void {
    const load = this.load.get(worker)! + by;
    this.load.set(worker, load);
    if (load > 0) worker.ref();
    else worker.unref();
  }
}
