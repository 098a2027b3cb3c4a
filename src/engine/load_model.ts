import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from '../checkpoint/read.js';
import { readCheckpoint } from '../checkpoint/read.js';
import { loadCheckpoint, type LoadReport } from '../checkpoint/load.js';
import { type Config, getConfig, publishedConfigNames, publishedName } from '../config/index.js';
import { CheckpointError, ZooError } from '../errors.js';
import { buildModel } from '../meta_arch/build_model.js';
import type { ProposalNetwork } from '../meta_arch/proposal_network.js';
import { cocoClassNames } from '../model_zoo/coco_classes.js';
import { nearestNames } from '../nearest_names.js';

/** A config (zoo name, YAML file or tree) and a weight file of any format that `convert` reads. */
export interface ModelFiles {
  readonly config: string | Config;
  /** A path, a zoo name, or an address (`https://`, `detectron2://`, `catalog://`). */
  readonly weights: string;
}

/** A zoo name, a folder with `config.yaml` and one weight file, or both named. */
export type ModelSource = string | ModelFiles;

export interface LoadModelOptions {
  /** `KEY=VALUE` over the config, as on the command line. */
  readonly overrides?: readonly string[];
  /** Never go to the network. */
  readonly offline?: boolean;
  /** Sees how much of a download is there. */
  readonly onProgress?: (received: number, total: number | undefined) => void;
}

/** A model with its weights, its config and its classes' names. */
export interface LoadedModel {
  readonly model: ProposalNetwork;
  readonly config: Config;
  readonly classNames: readonly string[];
  readonly report: LoadReport;
}

const WEIGHT_FILE = /\.(safetensors|pkl|pth)$/;

/** Finds, reads and checks a model's files, builds it on the running backend and gives it its weights. */
export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const { config, weights } = await findFiles(source, options);
  const checkpoint = await readCheckpoint(weights);
  const model = buildModel(config);
  try {
    const report = loadCheckpoint(checkpoint, model.modelParameters());
    return { model, config, classNames: classNamesOf(checkpoint, config), report };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

async function findFiles(source: ModelSource, options: LoadModelOptions): Promise<{ config: Config; weights: string }> {
  const overrides = [...(options.overrides ?? [])];
  if (typeof source !== 'string') {
    const config = typeof source.config === 'string' ? getConfig(source.config, overrides) : source.config;
    return { config, weights: await localWeights(source.weights, options) };
  }
  const folder = await stat(source).catch(() => undefined);
  if (folder?.isDirectory()) {
    const files = (await readdir(source)).filter((name) => WEIGHT_FILE.test(name));
    if (files.length !== 1) {
      const found = files.length === 0 ? 'none' : files.join(', ');
      throw new CheckpointError(
        `The folder ${source} has ${files.length} weight files (${found}); expected config.yaml and one .safetensors, .pkl or .pth.`,
      );
    }
    return { config: getConfig(join(source, 'config.yaml'), overrides), weights: join(source, files[0]) };
  }
  const name = publishedName(source);
  if (!name) {
    const near = nearestNames(source, publishedConfigNames()).join(', ');
    throw new ZooError(
      `There is no model '${source}': neither a folder nor a name of the zoo. Nearest names: ${near}. 'maskrcnn info zoo' lists all.`,
    );
  }
  return { config: getConfig(name, overrides), weights: await localWeights(name, options) };
}

/** The weight file itself: a path stays, a zoo name or an address is downloaded once. */
async function localWeights(reference: string, { offline, onProgress }: LoadModelOptions): Promise<string> {
  if (/\.(safetensors|pkl|pth)$/.test(reference) && !/^[a-z0-9]+:\/\//i.test(reference)) return reference;
  const { fetchWeights } = await import('../model_zoo/fetch_weights.js');
  return fetchWeights(reference, { ...(offline ? { offline } : {}), ...(onProgress ? { onProgress } : {}) });
}

/** Proposals have no class. Else names from the weight file, else COCO's where the number fits, else numbers. */
function classNamesOf(checkpoint: Checkpoint, config: Config): readonly string[] {
  if (config.MODEL.META_ARCHITECTURE === 'ProposalNetwork') return ['object'];
  const numClasses = config.MODEL.ROI_HEADS.NUM_CLASSES;
  const stored = checkpoint.metadata['class_names'];
  if (stored !== undefined) {
    const names: unknown = JSON.parse(stored);
    if (!Array.isArray(names) || names.length !== numClasses) {
      throw new CheckpointError(
        `${checkpoint.source} names ${Array.isArray(names) ? names.length : 'no'} classes, the config has ${numClasses} (MODEL.ROI_HEADS.NUM_CLASSES).`,
      );
    }
    return names.map(String);
  }
  if (numClasses === cocoClassNames.length) return cocoClassNames;
  return Array.from({ length: numClasses }, (_, i) => `class ${i}`);
}
