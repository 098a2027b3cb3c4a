// One rank of a training, or the whole of it where nothing started several. Takes its options as JSON; rank 0 writes the losses of every step and
// the weights at the end.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getConfig } from '../../src/config/index.js';
import { mpiLaunch } from '../../src/distributed/launch.js';
import { MpiCommunicator } from '../../src/distributed/mpi_communicator.js';
import { prepareTraining } from '../../src/engine/training_run.js';

export interface TogetherOptions {
  json: string;
  images: string;
  config: string;
  weights: string;
  output: string;
  device: 'cpu' | 'wasm' | 'tensorflow';
  overrides: string[];
  /** Steps after which the run is stopped, before its end. */
  stopAt?: number;
  resume?: boolean;
  validate?: boolean;
}

const options = JSON.parse(process.argv[2]!) as TogetherOptions;
const launch = mpiLaunch();
const processes = launch && (await MpiCommunicator.join(launch));
const losses: Record<string, number>[] = [];
const files = { json: options.json, images: options.images };
const run = await prepareTraining({
  config: getConfig(options.config, options.overrides),
  weights: options.weights,
  train: files,
  output: options.output,
  device: options.device,
  resume: options.resume ?? false,
  print: (line) => process.stdout.write(`${line}\n`),
  ...(options.validate ? { validation: files } : {}),
  ...(processes ? { processes } : {}),
  hooks: [
    {
      afterStep(trainer, step) {
        losses.push(step.losses);
        // One rank alone asks for it.
        if (trainer.iteration === options.stopAt && (processes?.rank ?? 0) === (processes?.size ?? 1) - 1) trainer.stop('enough');
      },
    },
  ],
});
await run.train();
const weights: Record<string, number[]> = {};
for (const parameter of run.model.modelParameters())
  if (parameter.trainable) weights[parameter.name] = [...(await parameter.get())];
const evaluation = run.trainer.scalars.get('bbox/AP');
if ((processes?.rank ?? 0) === 0)
  writeFileSync(join(options.output, 'together.json'), JSON.stringify({ losses, weights, evaluation }));
await run.dispose();
processes?.finalize();
