// Steps of golden training cases on a batch of four pictures, divided over the processes: the case's two, and once more in the other order. Rank 0 writes
// the losses of every step as JSON, and the weights in the end.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from '../../src/backends/select.js';
import { Random } from '../../src/data/random.js';
import { DataParallel } from '../../src/distributed/data_parallel.js';
import { mpiLaunch } from '../../src/distributed/launch.js';
import { World } from '../../src/distributed/world.js';
import { optimizerFromConfig } from '../../src/engine/solver/optimizer.js';
import { openTraining } from '../golden/models/training_case.js';

export interface GoldenOptions {
  device: 'wasm' | 'tensorflow';
  /** Folders of cases, and how many steps of each. */
  cases: { name: string; folder: string; steps: number }[];
  /** Where NAME.json and NAME.bin are written. */
  output: string;
  overlap: boolean;
}

export interface GoldenResult {
  losses: Record<string, number>[];
  /** Trained weights, one behind the other in NAME.bin. */
  weights: { name: string; size: number }[];
}

const { device, cases, output, overlap } = JSON.parse(process.argv[2]!) as GoldenOptions;
const world = await World.join(mpiLaunch()!, (line) => process.stderr.write(`${line}\n`));
try {
  const { communicator } = world;
  const { rank, size } = communicator;
  await startBackend(device);
  for (const { name, folder, steps } of cases) {
    const { cfg, model, samples } = await openTraining(folder);
    const batch = [...samples, ...[...samples].reverse()];
    const own = batch.slice((rank * batch.length) / size, ((rank + 1) * batch.length) / size);
    const parameters = model.modelParameters();
    const optimizer = optimizerFromConfig(cfg, parameters);
    const parallel = new DataParallel(communicator, { overlap });
    const losses: Record<string, number>[] = [];
    for (let step = 0; step < steps; step++) {
      const found = await parallel.loss(model, own, new Random(5).fork(step));
      const sum = parallel.sum(parallel.shareOf(found.losses), found.gradients);
      losses.push(sum.losses);
      optimizer.step(sum.gradients, 1);
      tf.dispose([...sum.gradients.values()]);
    }
    const trained = parameters.filter(({ trainable }) => trainable);
    const values = await Promise.all(trained.map((parameter) => parameter.get()));
    if (rank === 0) {
      const result: GoldenResult = { losses, weights: trained.map((p, i) => ({ name: p.name, size: values[i]!.length })) };
      writeFileSync(join(output, `${name}.json`), JSON.stringify(result));
      writeFileSync(
        join(output, `${name}.bin`),
        Buffer.concat(values.map((v) => Buffer.from(v.buffer, v.byteOffset, v.byteLength))),
      );
    }
    optimizer.dispose();
    model.dispose();
  }
  await world.leave();
} catch (error) {
  await world.fail(error);
  throw error;
}
