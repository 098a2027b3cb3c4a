// The thread that sums in the background, where it waits in MPI. The main one makes no call of MPI until all that it has asked for is done.
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { loadMpi } from './mpi_library.js';
import { ASKED, CODE, DONE, type SumOptions } from './sum_messages.js';

const { launch, state, port } = workerData as SumOptions;
const loaded = loadMpi(launch);

/** MPI's code. The main thread waits for it whatever happens here. */
async function sum(values: Float32Array): Promise<number> {
  try {
    const mpi = await loaded;
    return mpi.allreduce(mpi.inPlace, values, values.length, mpi.float32, mpi.sum, mpi.world);
  } catch {
    return -1;
  }
}

for (let done = 0; ; done++) {
  while (Atomics.load(state, ASKED) === done) Atomics.wait(state, ASKED, done);
  const code = await sum(receiveMessageOnPort(port)!.message as Float32Array);
  if (code !== 0) Atomics.compareExchange(state, CODE, 0, code);
  Atomics.add(state, DONE, 1);
  Atomics.notify(state, DONE);
}
