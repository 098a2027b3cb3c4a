import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MATTERPORT_LAYERS } from '../checkpoint/matterport_names.js';
import { type Checkpoint, readCheckpoint } from '../checkpoint/read.js';
import { type Config, publishedConfigNames, publishedName, resolveConfig } from '../config/index.js';
import { CheckpointError, ZooError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import { assembleModel, type LoadedModel } from './assemble_model.js';
import { configOfWeights } from './config_of_weights.js';

export type { LoadedModel } from './assemble_model.js';

/** A config (zoo name, YAML file or tree) and a weight file of any format that `convert` reads. */
export interface ModelFiles {
  /** May be left out where the weights tell it: those of torchvision's detectors and of Matterport's Mask R-CNN. */
  readonly config?: string | Config;
  /** A path, a zoo name, or an address (`https://`, `detectron2://`, `catalog://`). */
  readonly weights: string;
}

/** A zoo name, a folder with `config.yaml` and one weight file, both named, or a weight file that tells its configuration. */
export type ModelSource = string | ModelFiles;

export interface LoadModelOptions {
  /** `KEY=VALUE` over the config, as on the command line. */
  readonly overrides?: readonly string[];
  /** Never go to the network. */
  readonly offline?: boolean;
  /** Sees how much of a download is there. */
  readonly onProgress?: (received: number, total: number | undefined) => void;
  /** Told once which other process downloads the same weights, before its file is waited for. */
  readonly onWait?: (owner: string) => void;
  /** Gets a line for each key of the config that is set but has no effect here. */
  readonly onWarning?: (line: string) => void;
}

const WEIGHT_FILE = /\.(safetensors|pkl|pth|h5)$/;

/** Finds, reads and checks a model's files, builds it on the running backend and gives it its weights. */
export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const { config, weights } = await findFiles(source, options);
  const checkpoint = await readCheckpoint(weights);
  if (checkpoint.format === 'hdf5') failOnOtherKerasModel(checkpoint);
  if (!config) return assembleModel(checkpoint, ownConfig(checkpoint, options));
  const { conventions } = checkpoint.metadata;
  if (conventions !== undefined && conventions !== config.MODEL.CONVENTIONS)
    options.onWarning?.(
      `${weights} was made by ${conventions}, the configuration says MODEL.CONVENTIONS ${config.MODEL.CONVENTIONS}: results will differ from ${conventions}'s.`,
    );
  return assembleModel(checkpoint, config);
}

/** The one model of Keras that runs here. @throws CheckpointError */
function failOnOtherKerasModel({ source, tensors, metadata }: Checkpoint): void {
  if (metadata['conventions'] === 'matterport') return;
  const some = [...tensors.keys()].slice(0, 3).map((name) => `'${name}'`);
  throw new CheckpointError(
    `${source}: a Keras file that holds no Mask R-CNN of Matterport's, the one Keras model that runs here: expected the layers ${MATTERPORT_LAYERS}; it has ${some.length === 0 ? 'no tensors' : `${some.join(', ')}${tensors.size > 3 ? ', ...' : ''}`}.`,
  );
}

function ownConfig(checkpoint: Checkpoint, { overrides }: LoadModelOptions): Config {
  const config = configOfWeights(checkpoint, overrides);
  if (config) return config;
  throw new CheckpointError(
    `${checkpoint.source}: these weights do not tell their configuration, as those of torchvision's detectors and of Matterport's Mask R-CNN do; give the one that they were made with (--config).`,
  );
}

async function findFiles(source: ModelSource, options: LoadModelOptions): Promise<{ config?: Config; weights: string }> {
  const configOf = (name: string): Config => {
    const { config, warnings } = resolveConfig(name, options.overrides);
    for (const line of warnings) options.onWarning?.(line);
    return config;
  };
  if (typeof source !== 'string') {
    const config = typeof source.config === 'string' ? configOf(source.config) : source.config;
    return { ...(config ? { config } : {}), weights: await localWeights(source.weights, options) };
  }
  const folder = await stat(source).catch(() => undefined);
  if (folder?.isDirectory()) {
    const files = (await readdir(source)).filter((name) => WEIGHT_FILE.test(name));
    if (files.length !== 1) {
      const found = files.length === 0 ? 'none' : files.join(', ');
      throw new CheckpointError(
        `The folder ${source} has ${files.length} weight files (${found}); expected config.yaml and one .safetensors, .pkl, .pth or .h5.`,
      );
    }
    return { config: configOf(join(source, 'config.yaml')), weights: join(source, files[0]) };
  }
  if (folder?.isFile() && WEIGHT_FILE.test(source)) return { weights: source };
  const name = publishedName(source);
  if (!name) {
    const near = nearestNames(source, publishedConfigNames()).join(', ');
    throw new ZooError(
      `There is no model '${source}': neither a folder nor a name of the zoo. Nearest names: ${near}. 'maskrcnn info zoo' lists all.`,
    );
  }
  return { config: configOf(name), weights: await localWeights(name, options) };
}

/** The weight file itself: a path stays, a zoo name or an address is downloaded once. */
export async function localWeights(reference: string, { offline, onProgress, onWait }: LoadModelOptions): Promise<string> {
  if (/\.(safetensors|pkl|pth|h5)$/.test(reference) && !/^[a-z0-9]+:\/\//i.test(reference)) return reference;
  const { fetchWeights } = await import('../model_zoo/fetch_weights.js');
  return fetchWeights(reference, {
    ...(offline ? { offline } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(onWait ? { onWait } : {}),
  });
}
