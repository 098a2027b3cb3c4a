import type { Config } from '../../config/index.js';
import { ConfigError, DatasetError } from '../../errors.js';
import { semanticMapPath } from '../annotations/semantic_map.js';
import { keypointFlipDoubt, keypointFlipIndices, keypointFlipPairs } from '../annotations/keypoint_flip.js';
import { readCocoDataset } from '../coco/read_coco.js';
import { datasetRecords, withKeypoints, withoutCrowdOnly } from '../coco/dataset_records.js';
import { RepeatFactorTrainingSampler, repeatFactors } from '../samplers/repeat_factor.js';
import { RandomSubsetTrainingSampler, TrainingSampler, type Sampler } from '../samplers/sampler.js';
import { InProcessSource, type MixOptions } from './sample_source.js';
import { WorkerPool } from './worker_pool.js';
import type { AugmentationSpec } from '../transforms/augmentation_specs.js';
import { type BatchPart, TrainLoader, type LoadedDataset, type LoaderState } from './train_loader.js';

/** Options of {@link trainSamplesFromConfig}. */
export interface TrainSamplesOptions {
  /** COCO annotation file. */
  readonly json: string;
  /** Folder of the pictures. */
  readonly images: string;
  /** Folder of semantic segmentation files for training on stuff: `NAME.png` with the class of each pixel for the picture `NAME.jpg`, 255 ignored. */
  readonly semantic?: string;
  readonly seed: number;
  /** Goes on where an earlier loader stood. */
  readonly state?: LoaderState;
  /** Threads that decode and augment; default 0: in this thread. Samples and order are the same with any number. */
  readonly workers?: number;
  /** Batches made ahead; default 2 with threads and 0 without. */
  readonly prefetch?: number;
  /** Augmentations in the place of crop, resize and flip of the section INPUT; as plain data, because threads get them. */
  readonly augmentations?: readonly AugmentationSpec[];
  /** Samples made of several pictures: mosaics, and objects pasted from other pictures. */
  readonly mix?: MixOptions;
  /** Pictures a batch; default SOLVER.IMS_PER_BATCH. */
  readonly batchSize?: number;
  /** This process's part of every batch, where several processes learn together. */
  readonly part?: BatchPart;
  /** Share of the pictures, for DATALOADER.SAMPLER_TRAIN RandomSubsetTrainingSampler. */
  readonly subsetRatio?: number;
}

/**
 * The training batches that a configuration asks for (sections INPUT, DATALOADER, SOLVER.IMS_PER_BATCH).
 *
 * @throws DatasetError when the data set cannot be read or no picture is left, ConfigError for settings that do not fit
 */
export async function trainSamplesFromConfig(cfg: Config, options: TrainSamplesOptions): Promise<TrainLoader> {
  const { seed, state, mix, augmentations, workers = 0, prefetch = workers > 0 ? 2 : 0 } = options;
  const { dataset, flips } = await loadDataset(cfg, options);
  const sourceOptions = {
    config: cfg,
    ...(flips ? { keypointFlipIndices: flips } : {}),
    ...(mix ? { mix } : {}),
    ...(augmentations ? { augmentations } : {}),
  };
  // Made here in any case: settings that do not fit are told now, not by a thread later.
  const inProcess = new InProcessSource(sourceOptions);
  const sampler = trainSampler(cfg, dataset, options);
  const source = workers === 0 ? inProcess : new WorkerPool(workers, sourceOptions);
  return new TrainLoader({
    dataset,
    seed,
    sampler,
    source,
    prefetch,
    batchSize: options.batchSize ?? cfg.SOLVER.IMS_PER_BATCH,
    groupByAspectRatio: cfg.DATALOADER.ASPECT_RATIO_GROUPING,
    ...(options.part ? { part: options.part } : {}),
    ...(mix ? { mix } : {}),
    ...(state ? { state } : {}),
  });
}

async function loadDataset(
  cfg: Config,
  { json, images, semantic, mix, augmentations }: TrainSamplesOptions,
): Promise<{ dataset: LoadedDataset; flips?: readonly number[] }> {
  const file = await readCocoDataset(json);
  const all = datasetRecords(file, images, { name: json });
  if (semantic !== undefined) {
    if (mix) throw new ConfigError('Mosaics and copy-paste do not take semantic maps; leave out one of the two.');
    const nameOf = new Map(file.images.map(({ id, file_name }) => [id, file_name]));
    for (const record of all.records) {
      record.sem_seg_file_name = semanticMapPath(semantic, nameOf.get(record.image_id)!);
    }
  }
  const messages = [...all.messages];
  let { records } = all;
  if (cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS) records = withoutCrowdOnly(records);
  const withoutObjects = all.records.length - records.length;
  if (withoutObjects > 0) messages.push(`Left out ${withoutObjects} of ${all.records.length} pictures, which have no objects`);
  let keypointNames: readonly string[] | undefined;
  if (cfg.MODEL.KEYPOINT_ON) {
    const before = records.length;
    records = withKeypoints(records, cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE);
    if (records.length < before) messages.push(`Left out ${before - records.length} pictures with too few keypoints`);
    keypointNames = file.categories.find((c) => c.keypoints)?.keypoints;
    const count = cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS;
    if (keypointNames && keypointNames.length !== count)
      throw new ConfigError(
        `${json} has ${keypointNames.length} keypoints an object, the model ${count}; set MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS=${keypointNames.length}.`,
      );
  }
  const mirrored = mirrors(cfg, augmentations);
  if (mirrored && cfg.MODEL.KEYPOINT_ON && !keypointNames)
    throw new DatasetError(
      `${json}: no category names its keypoints ("keypoints": [...]), and in mirrored pictures some change places; name them, or set INPUT.RANDOM_FLIP=none.`,
    );
  const pairs = keypointNames && keypointFlipPairs(cfg.INPUT.KEYPOINT_FLIP_PAIRS, keypointNames);
  const doubt = mirrored && keypointNames ? keypointFlipDoubt(keypointNames, pairs) : undefined;
  if (records.length === 0) throw new DatasetError(`${json}: no picture is left to train on; ${messages.join('; ')}.`);
  return {
    dataset: {
      records,
      classes: all.thingClasses,
      categoryIds: all.categoryIds,
      withoutObjects,
      messages,
      warnings: doubt === undefined ? [] : [doubt],
      ...(keypointNames ? { keypointNames } : {}),
    },
    ...(keypointNames ? { flips: keypointFlipIndices(keypointNames, pairs) } : {}),
  };
}

/** Whether left and right change places in some samples. */
function mirrors({ INPUT }: Config, augmentations: readonly AugmentationSpec[] | undefined): boolean {
  if (!augmentations) return INPUT.RANDOM_FLIP === 'horizontal';
  return augmentations.some(({ name, args }) => name === 'RandomFlip' && args?.[0] !== 'vertical');
}

function trainSampler(cfg: Config, { records }: LoadedDataset, { seed, subsetRatio }: TrainSamplesOptions): Sampler {
  const { SAMPLER_TRAIN: name, REPEAT_THRESHOLD: threshold, REPEAT_SQRT: squareRoot } = cfg.DATALOADER;
  switch (name) {
    case 'TrainingSampler':
      return new TrainingSampler(records.length, seed);
    case 'RepeatFactorTrainingSampler': {
      const categories = records.map((r) => r.annotations.map((a) => a.category_id));
      return new RepeatFactorTrainingSampler(repeatFactors(categories, threshold, squareRoot), seed);
    }
    case 'RandomSubsetTrainingSampler':
      if (subsetRatio === undefined)
        throw new ConfigError('DATALOADER.SAMPLER_TRAIN is RandomSubsetTrainingSampler; it needs the option subsetRatio.');
      return new RandomSubsetTrainingSampler(records.length, subsetRatio, seed);
    default:
      throw new ConfigError(
        `DATALOADER.SAMPLER_TRAIN is ${name}; with one data set use TrainingSampler, RepeatFactorTrainingSampler or RandomSubsetTrainingSampler.`,
      );
  }
}
