import { loadCheckpoint, type LoadReport } from '../checkpoint/load.js';
import type { Checkpoint } from '../checkpoint/parse.js';
import type { Config } from '../config/schema.js';
import { CheckpointError } from '../errors.js';
import { buildModel } from '../meta_arch/build_model.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { cocoKeypointNames } from '../model_zoo/coco_keypoints.js';
import { cocoClassNames } from '../model_zoo/coco_classes.js';
import { dataSetClassNames } from '../model_zoo/data_set_classes.js';
import { semanticNames } from '../semantic/semantic_names.js';
import { findsProposals, PROPOSAL_NAMES } from './box_proposals.js';

/** A model with its weights, its config and its classes' names. */
export interface LoadedModel {
  readonly model: MetaArchitecture;
  readonly config: Config;
  readonly classNames: readonly string[];
  /** By number; empty for models without keypoints. */
  readonly keypointNames: readonly string[];
  /** By semantic class; empty for models without a semantic branch. */
  readonly semanticClassNames: readonly string[];
  readonly report: LoadReport;
}

/** Builds a config's model on the running backend and gives it its weights. */
export function assembleModel(checkpoint: Checkpoint, config: Config): LoadedModel {
  const model = buildModel(config);
  try {
    const report = loadCheckpoint(checkpoint, model.modelParameters());
    return {
      model,
      config,
      classNames: classNamesOf(checkpoint, config),
      keypointNames: keypointNamesOf(checkpoint, config),
      semanticClassNames: semanticNamesOf(checkpoint, config),
      report,
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** Proposals have no class, a semantic model finds no objects. Else names from the weight file, else those of Detectron2's data set that the config names, else COCO's where the number fits, else numbers. */
function classNamesOf(checkpoint: Checkpoint, config: Config): readonly string[] {
  if (findsProposals(config)) return PROPOSAL_NAMES;
  if (config.MODEL.META_ARCHITECTURE === 'SemanticSegmentor') return [];
  const head = config.MODEL.META_ARCHITECTURE === 'RetinaNet' ? 'RETINANET' : 'ROI_HEADS';
  const numClasses = config.MODEL[head].NUM_CLASSES;
  const stored = checkpoint.metadata['class_names'];
  if (stored !== undefined) {
    const names: unknown = JSON.parse(stored);
    if (!Array.isArray(names) || names.length !== numClasses) {
      throw new CheckpointError(
        `${checkpoint.source} names ${Array.isArray(names) ? names.length : 'no'} classes, the config has ${numClasses} (MODEL.${head}.NUM_CLASSES).`,
      );
    }
    return names.map(String);
  }
  const known = dataSetClassNames(config.DATASETS.TRAIN[0]);
  if (known?.length === numClasses) return known;
  if (numClasses === cocoClassNames.length) return cocoClassNames;
  if (numClasses === 1 && keypointNamesOf(checkpoint, config) === cocoKeypointNames) return ['person'];
  return Array.from({ length: numClasses }, (_, i) => `class ${i}`);
}

/** Names from the weight file, else COCO's where the number fits, else numbers. */
function keypointNamesOf({ metadata }: Checkpoint, { MODEL }: Config): readonly string[] {
  if (!MODEL.KEYPOINT_ON) return [];
  const count = MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS;
  const stored: unknown = metadata['keypoint_names'] === undefined ? undefined : JSON.parse(metadata['keypoint_names']);
  if (Array.isArray(stored) && stored.length === count) return stored.map(String);
  if (count === cocoKeypointNames.length) return cocoKeypointNames;
  return Array.from({ length: count }, (_, i) => `keypoint ${i}`);
}

/** Names from the weight file, else COCO's where the number fits, else numbers; class 0 is everything that is counted. */
function semanticNamesOf({ metadata }: Checkpoint, { MODEL }: Config): readonly string[] {
  if (MODEL.META_ARCHITECTURE !== 'PanopticFPN' && MODEL.META_ARCHITECTURE !== 'SemanticSegmentor') return [];
  const count = MODEL.SEM_SEG_HEAD.NUM_CLASSES;
  const stored: unknown =
    metadata['semantic_class_names'] === undefined ? undefined : JSON.parse(metadata['semantic_class_names']);
  return Array.isArray(stored) && stored.length === count ? stored.map(String) : semanticNames(count);
}
