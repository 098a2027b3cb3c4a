// One process of the bench `distributed`, under mpirun. Takes its options as JSON; rank 0 prints what was measured as a JSON line.
import * as tf from '@tensorflow/tfjs-core';
import { type Device, startBackend } from '../src/backends/select.js';
import { getConfig } from '../src/config/index.js';
import { Random } from '../src/data/random.js';
import { DataParallel } from '../src/distributed/data_parallel.js';
import { mpiLaunch } from '../src/distributed/launch.js';
import { World } from '../src/distributed/world.js';
import { optimizerFromConfig } from '../src/engine/solver/optimizer.js';
import { initializeWeights } from '../src/layers/weight_init.js';
import { GeneralizedRcnn } from '../src/meta_arch/generalized_rcnn.js';
import { median } from './median.js';
import { noiseSample } from './noise_sample.js';
import { seededRandom } from './random.js';
import { tame } from './rcnn.js';
import { TimedCommunicator } from './timed_communicator.js';

export interface RankOptions {
  config: string;
  side: number;
  floats: number;
  runs: number;
  backend: Device;
}

/** Medians over the steps, of rank 0 where nothing else is said. */
export interface RankResult {
  backend: string;
  step_ms: number;
  /** With sums during the backward pass. */
  overlapped_step_ms: number;
  /** Of the rank that waits longest until the slowest has computed its gradients. */
  wait_ms: number;
  /** Gradients from the device to the host, summed, and back. */
  communication_ms: number;
  /** The part of it that waits for MPI: what is summed while the next gradients are copied is not in it. */
  mpi_ms: number;
  gradient_bytes: number;
  buckets: number;
  /** Of `floats` numbers in one call. */
  allreduce_ms: number;
  /** Traffic of a copy, of all processes at once. */
  memory_gb_per_s: number;
}

const OBJECTS = 24;
const MEGABYTE = 2 ** 20;

async function measure(world: World, options: RankOptions): Promise<RankResult> {
  const communicator = new TimedCommunicator(world.communicator);
  const now = () => performance.now();
  const timed = (part: () => void): number => {
    communicator.barrier();
    const start = now();
    part();
    return now() - start;
  };
  const [from, to] = [new Float32Array(64 * MEGABYTE).fill(1), new Float32Array(64 * MEGABYTE)];
  const copies = Array.from({ length: options.runs + 1 }, () => timed(() => to.set(from))).slice(1);
  const bandwidth = Float64Array.of((2 * from.byteLength) / (median(copies) * 1e6));
  communicator.sum(bandwidth);
  const values = new Float32Array(options.floats);
  const sums = Array.from({ length: options.runs + 1 }, () => timed(() => communicator.sum(values))).slice(1);

  const { device } = await startBackend(options.backend);
  const cfg = getConfig(options.config);
  const model = GeneralizedRcnn.fromConfig(cfg);
  const parameters = model.modelParameters();
  initializeWeights(parameters, seededRandom(4));
  tame(parameters);
  const optimizer = optimizerFromConfig(cfg, parameters);
  const { sample } = noiseSample(communicator.rank, options.side, OBJECTS, cfg.MODEL.ROI_HEADS.NUM_CLASSES);
  const after = new DataParallel(communicator);
  const during = new DataParallel(communicator, { overlap: true });
  const steps: Pick<RankResult, 'step_ms' | 'wait_ms' | 'communication_ms' | 'mpi_ms'>[] = [];
  const overlapped: number[] = [];
  let buckets = 0;
  // A rate so small that every step is as hard as the first.
  const learn = async ({ gradients }: ReturnType<DataParallel['sum']>): Promise<void> => {
    optimizer.step(gradients, 1e-6);
    tf.dispose([...gradients.values()]);
    await parameters.at(-1)!.variable.data();
  };
  // The first step warms up and is not counted.
  for (let run = 0; run <= options.runs; run++) {
    communicator.barrier();
    const start = now();
    const { losses, gradients } = await after.loss(model, [sample], new Random(1).fork(run));
    const computed = now();
    communicator.barrier();
    const together = now();
    [communicator.summingMs, communicator.sums] = [0, 0];
    const sum = after.sum(after.shareOf(losses), gradients);
    const summed = now();
    const mpi = communicator.summingMs;
    buckets = communicator.sums;
    await learn(sum);
    const times = { wait_ms: together - computed, communication_ms: summed - together, mpi_ms: mpi };
    if (run > 0) steps.push({ step_ms: now() - start, ...times });
  }
  for (let run = 0; run <= options.runs; run++) {
    communicator.barrier();
    const start = now();
    const { losses, gradients } = await during.loss(model, [sample], new Random(1).fork(run));
    await learn(during.sum(during.shareOf(losses), gradients));
    if (run > 0) overlapped.push(now() - start);
  }
  const of = (key: keyof (typeof steps)[0]) => median(steps.map((step) => step[key]));
  const longestWait = Float64Array.of(of('wait_ms'));
  communicator.max(longestWait);
  return {
    backend: device,
    step_ms: of('step_ms'),
    overlapped_step_ms: median(overlapped),
    wait_ms: longestWait[0]!,
    communication_ms: of('communication_ms'),
    mpi_ms: of('mpi_ms'),
    gradient_bytes: parameters.filter(({ trainable }) => trainable).reduce((bytes, { variable }) => bytes + 4 * variable.size, 0),
    buckets,
    allreduce_ms: median(sums),
    memory_gb_per_s: bandwidth[0]!,
  };
}

const launch = mpiLaunch();
if (!launch) throw new Error('distributed_rank runs under mpirun; start: npm run bench -- distributed');
const world = await World.join(launch, () => undefined);
try {
  const result = await measure(world, JSON.parse(process.argv[2]!) as RankOptions);
  if (world.isFirst) process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
  await world.leave();
} catch (error) {
  await world.fail(error);
  throw error;
}
