// A training that ends only when it is killed: 3 numbers that learn and 2 MB that lie beside them, a checkpoint every step, in the folder given.
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { defaultConfig } from '../../src/config/merge.js';
import { Random } from '../../src/data/random.js';
import { PeriodicCheckpoint } from '../../src/engine/hooks/periodic_checkpoint.js';
import { Sgd } from '../../src/engine/solver/sgd.js';
import { findLastCheckpoint, readTrainingCheckpoint, restoreTrainer } from '../../src/engine/training_checkpoint.js';
import { Trainer } from '../../src/engine/trainer.js';
import { sameLayout } from '../../src/layers/module.js';
import { ZEROS } from '../../src/layers/weight_init.js';
import { TinyBatches, tinyLoss, TinyModel } from './fake_training.js';

class HeavyModel extends TinyModel {
  readonly ballast = this.parameter('ballast', 'buffer', sameLayout([500_000]), ZEROS);
}

const [, , folder, iterations] = process.argv;
await tf.setBackend('cpu');
const model = new HeavyModel();
const weight = model.modelParameters().find(({ name }) => name === 'weight')!;
const last = await findLastCheckpoint(folder!);
const saved = last === undefined ? undefined : await readTrainingCheckpoint(last);
const trainer = new Trainer<TinyModel>({
  model,
  optimizer: new Sgd([{ name: 'weight', variable: weight.variable, learningRate: 0.05, weightDecay: 0 }], { momentum: 0.9 }),
  schedule: () => 1,
  learningRate: 0.05,
  batches: new TinyBatches((saved?.state.batches as number | undefined) ?? 0),
  iterations: Number(iterations),
  random: new Random(3),
  loss: tinyLoss,
  hooks: [
    new PeriodicCheckpoint({
      folder: folder!,
      period: 1,
      keep: 2,
      about: { config: defaultConfig(), classNames: ['thing'], categoryIds: [1] },
      onSaved: (_, iteration) => void process.stdout.write(`saved ${iteration}\n`),
    }),
  ],
});
if (saved) restoreTrainer(trainer as unknown as Trainer, saved);
process.stdout.write(`from ${trainer.iteration}\n`);
await trainer.train();
process.stdout.write(`weight ${[...(await weight.get())].join()}\n`);
