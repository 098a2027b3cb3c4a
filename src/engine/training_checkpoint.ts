import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import { failOnNonFinite, loadCheckpoint } from '../checkpoint/load.js';
import type { Checkpoint } from '../checkpoint/parse.js';
import { readCheckpoint } from '../checkpoint/read.js';
import { type SafetensorsTensor, writeSafetensors } from '../checkpoint/safetensors.js';
import { type Config, dumpConfig } from '../config/index.js';
import type { RandomState } from '../data/random.js';
import { CheckpointError } from '../errors.js';
import type { ModelParameter } from '../layers/module.js';
import type { HostTensor } from './solver/slots.js';
import type { Trainer } from './trainer.js';

/** What a model's weights alone do not say. */
export interface AboutModel {
  readonly config: Config;
  /** By class index. */
  readonly classNames: readonly string[];
  /** By number; for models with keypoints. */
  readonly keypointNames?: readonly string[];
  /** By semantic class, the first is all things; for models that learn stuff, where the data set names it. */
  readonly semanticClassNames?: readonly string[];
  /** The data set's own id of each class index. */
  readonly categoryIds: readonly number[];
}

/** The part of a training checkpoint that is no tensor. */
export interface TrainingState {
  /** The next iteration to make. */
  readonly iteration: number;
  /** The state of the batch source. */
  readonly batches: unknown;
  readonly random: RandomState;
  readonly averageSteps: number;
  /** What the model goes on with besides its weights, where there is something. */
  readonly model?: unknown;
  readonly hooks: Readonly<Record<string, unknown>>;
}

/** The name, in a run's folder, of the file that names the newest checkpoint. */
export const LAST_CHECKPOINT = 'last_checkpoint';

/** The weights that prediction needs, with config and class names, as safetensors. @throws CheckpointError for weights that are not finite */
export async function writeModelFile(path: string, parameters: readonly ModelParameter[], about: AboutModel): Promise<void> {
  const tensors = new Map<string, SafetensorsTensor>();
  await addWeights(tensors, '', parameters, path);
  await writeSafetensors(path, tensors, describe(about));
}

/**
 * All that a run needs to go on exactly: weights, optimiser, average, and the state of batches, random numbers and hooks.
 * @throws CheckpointError for weights that are not finite: the last good file stays
 */
export async function writeTrainingCheckpoint(path: string, trainer: Trainer, about: AboutModel): Promise<void> {
  const { model, optimizer, average, batches, random } = trainer.options;
  const tensors = new Map<string, SafetensorsTensor>();
  const parameters = model.modelParameters();
  await addWeights(tensors, '', parameters, path);
  for (const [name, { shape, values }] of await optimizer.state())
    tensors.set(`optimizer.${name}`, { shape, dtype: 'F32', data: values });
  if (average) {
    average.swap();
    try {
      await addWeights(
        tensors,
        'ema_state.',
        parameters.filter(({ trainable }) => trainable),
        path,
      );
    } finally {
      average.swap();
    }
  }
  const hooks = trainer.hooks.flatMap((hook) => (hook.name && hook.state ? [[hook.name, hook.state()]] : []));
  const state: TrainingState = {
    iteration: trainer.iteration,
    batches: batches.state,
    random: random.state,
    averageSteps: average?.steps ?? 0,
    ...(model.trainingState === undefined ? {} : { model: model.trainingState }),
    hooks: Object.fromEntries(hooks) as Record<string, unknown>,
  };
  await writeSafetensors(path, tensors, {
    ...describe(about),
    iteration: String(trainer.iteration),
    training: JSON.stringify(state),
  });
}

/** The newest checkpoint of a run's folder; undefined where there is none yet. */
export async function findLastCheckpoint(folder: string): Promise<string | undefined> {
  const name = await readFile(join(folder, LAST_CHECKPOINT), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return name === undefined ? undefined : join(folder, name.trim());
}

/** The names in a folder; none where there is no folder. */
export async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

/** The checkpoints in a run's folder, relative to it, by iteration: zeros in front make the order of names that of numbers. */
export async function checkpointsIn(folder: string): Promise<string[]> {
  const names = (await namesIn(join(folder, 'checkpoints'))).filter((name) => /^iteration_\d+\.safetensors$/.test(name));
  return names.sort().map((name) => `checkpoints/${name}`);
}

/** The name of a checkpoint, relative to the run's folder. */
export function checkpointName(iteration: number): string {
  return `checkpoints/iteration_${String(iteration).padStart(7, '0')}.safetensors`;
}

/**
 * For a run that starts: killed before its first checkpoint, it would be taken for the one that left these.
 * @throws CheckpointError where a folder holds the checkpoints of a run
 */
export async function refuseEarlierRun(folder: string): Promise<void> {
  const last = (await findLastCheckpoint(folder)) ?? (await checkpointsIn(folder)).at(-1);
  if (last === undefined) return;
  throw new CheckpointError(
    `${folder} holds a run already (its last checkpoint: ${basename(last)}). Go on with it by --resume, name another folder, or remove this one first.`,
  );
}

/** Names a checkpoint the newest. @param name relative to the folder */
export async function setLastCheckpoint(folder: string, name: string): Promise<void> {
  await writeFileAtomic(join(folder, LAST_CHECKPOINT), `${name}\n`);
}

/** Reads a training checkpoint. @throws CheckpointError for a file that is not one */
export async function readTrainingCheckpoint(path: string): Promise<{ checkpoint: Checkpoint; state: TrainingState }> {
  const checkpoint = await readCheckpoint(path);
  const text = checkpoint.metadata.training;
  if (text === undefined)
    throw new CheckpointError(
      `${path}: holds weights alone, no state of a training; resume needs a checkpoint that training wrote.`,
    );
  return { checkpoint, state: JSON.parse(text) as TrainingState };
}

/**
 * Sets a trainer to where a checkpoint was written. Its batch source must have been made with `state.batches`.
 * @throws CheckpointError where the checkpoint is of another model or optimiser
 */
export function restoreTrainer(trainer: Trainer, { checkpoint, state }: { checkpoint: Checkpoint; state: TrainingState }): void {
  const { model, optimizer, average } = trainer.options;
  const parameters = model.modelParameters();
  const ema = new Map(
    [...checkpoint.tensors].flatMap(([name, t]) => (name.startsWith('ema_state.') ? [[name.slice(10), t]] : [])),
  );
  if (average && ema.size > 0) {
    const source = `${checkpoint.source} (moving average)`;
    loadCheckpoint(
      { ...checkpoint, source, tensors: ema },
      parameters.filter(({ trainable }) => trainable),
    );
    average.reset(state.averageSteps);
  }
  loadCheckpoint(checkpoint, parameters);
  // A run that did without an average so far begins one here.
  if (ema.size === 0) average?.reset(0);
  const slots = new Map<string, HostTensor>();
  for (const [name, tensor] of checkpoint.tensors)
    if (name.startsWith('optimizer.'))
      slots.set(name.slice('optimizer.'.length), { shape: tensor.shape, values: tensor.toFloat32() });
  optimizer.restore(slots);
  if (state.model !== undefined) model.restoreTrainingState?.(state.model);
  for (const hook of trainer.hooks)
    if (hook.name !== undefined && hook.name in state.hooks) hook.restore?.(state.hooks[hook.name]);
  trainer.iteration = state.iteration;
}

/** Removes files that are there. */
export async function removeFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}

async function addWeights(
  tensors: Map<string, SafetensorsTensor>,
  prefix: string,
  parameters: readonly ModelParameter[],
  path: string,
): Promise<void> {
  for (const parameter of parameters) {
    const data = await parameter.get();
    failOnNonFinite(data, parameter.name, parameter.shape, `${path} is not written`);
    tensors.set(`${prefix}${parameter.name}`, { shape: parameter.shape, dtype: 'F32', data: data as Float32Array<ArrayBuffer> });
  }
}

function describe({ config, classNames, categoryIds, keypointNames, semanticClassNames }: AboutModel): Record<string, string> {
  return {
    config: dumpConfig(config),
    class_names: JSON.stringify(classNames),
    category_ids: JSON.stringify(categoryIds),
    ...(keypointNames ? { keypoint_names: JSON.stringify(keypointNames) } : {}),
    ...(semanticClassNames ? { semantic_class_names: JSON.stringify(semanticClassNames) } : {}),
  };
}
