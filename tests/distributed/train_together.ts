// One rank of a training, or the whole of it where nothing started several. Takes its options as JSON; rank 0 writes the losses of every step, the
// weights at the end and the evaluation.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { getConfig } from '../../src/config/index.js';
import { mpiLaunch } from '../../src/distributed/launch.js';
import { World } from '../../src/distributed/world.js';
import type { Trainer } from '../../src/engine/trainer.js';
import { prepareTraining } from '../../src/engine/training_run.js';

export interface TogetherOptions {
  json: string;
  images: string;
  config: string;
  weights: string;
  output: string;
  device: 'cpu' | 'wasm' | 'tensorflow';
  overrides: string[];
  /** What the last rank has instead. */
  ofLast?: Partial<TogetherOptions>;
  /** Steps after which the last rank asks for the end. */
  stopAt?: number;
  /** Steps after which the last rank's weights are no numbers any more. */
  spoilAt?: number;
  /** Steps after which the last rank's main thread never does anything again. */
  hangAt?: number;
  /** Seconds after which a rank is held to hang. */
  timeout?: number;
  resume?: boolean;
  /** Sums gradients during the backward pass. */
  overlap?: boolean;
  /** Steps after which a gradient of the last rank is infinite, and the losses are not. */
  spoilGradientAt?: number;
  /** Pictures to evaluate on at the end. */
  validation?: { json: string; images: string };
}

/** From now on a gradient is infinite. */
function spoilGradients({ options: trained }: Trainer): void {
  const { loss } = trained;
  const spoilt: typeof loss = async (...batch) => {
    const found = await loss(...batch);
    const [name, gradient] = [...found.gradients][0]!;
    found.gradients.set(name, tf.fill(gradient.shape, Infinity));
    gradient.dispose();
    return found;
  };
  Object.assign(trained, { loss: spoilt });
}

const given = JSON.parse(process.argv[2]!) as TogetherOptions;
const launch = mpiLaunch();
const world = launch && (await World.join(launch, (line) => process.stderr.write(`${line}\n`), given.timeout));
const { rank, size } = world?.communicator ?? { rank: 0, size: 1 };
const isLast = rank === size - 1;
const options = isLast ? { ...given, ...given.ofLast } : given;
try {
  const losses: Record<string, number>[] = [];
  const evaluation: Record<string, number> = {};
  const run = await prepareTraining({
    config: getConfig(options.config, options.overrides),
    weights: options.weights,
    train: { json: options.json, images: options.images },
    output: options.output,
    device: options.device,
    resume: options.resume ?? false,
    overlap: options.overlap ?? false,
    print: (line) => process.stdout.write(`${line}\n`),
    ...(options.validation ? { validation: options.validation } : {}),
    ...(world ? { processes: world.communicator } : {}),
    writers: [{ write: async (_, scalars) => void Object.assign(evaluation, scalars) }],
    hooks: [
      {
        afterStep(trainer, step) {
          losses.push(step.losses);
          if (isLast && trainer.iteration === options.stopAt) trainer.stop('enough');
          while (isLast && trainer.iteration === options.hangAt);
          if (isLast && trainer.iteration === options.spoilGradientAt) spoilGradients(trainer);
          if (isLast && trainer.iteration === options.spoilAt)
            for (const { name, variable } of trainer.options.model.modelParameters())
              if (name.endsWith('cls_score.bias')) variable.assign(tf.fill(variable.shape, NaN));
        },
      },
    ],
  });
  await run.train();
  const weights: Record<string, number[]> = {};
  for (const parameter of run.model.modelParameters())
    if (parameter.trainable) weights[parameter.name] = [...(await parameter.get())];
  if (rank === 0) writeFileSync(join(options.output, 'together.json'), JSON.stringify({ losses, weights, evaluation }));
  await run.dispose();
  await world?.leave();
} catch (error) {
  await world?.fail(error);
  throw error;
}
