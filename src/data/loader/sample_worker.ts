import { parentPort, workerData } from 'node:worker_threads';
import { InProcessSource, type SourceOptions } from './sample_source.js';
import { transferables, type WorkerAnswer, type WorkerRequest } from './worker_messages.js';

/** The worker's side of WorkerPool: makes samples one after the other, so that one thread holds one core and one picture. */
const source = new InProcessSource(workerData as SourceOptions);
let last: Promise<void> = Promise.resolve();

parentPort!.on('message', ({ id, task }: WorkerRequest) => {
  last = last.then(async () => {
    try {
      const sample = await source.make(task);
      parentPort!.postMessage({ id, sample } satisfies WorkerAnswer, transferables(sample));
    } catch (error) {
      const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
      parentPort!.postMessage({ id, error: { name, message, ...(stack ? { stack } : {}) } } satisfies WorkerAnswer);
    }
  });
});
