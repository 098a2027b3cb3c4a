import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import { startBackend, type Device } from '../backends/select.js';
import { readCheckpoint } from '../checkpoint/read.js';
import { type Config, dumpConfig, untrainableSettings } from '../config/index.js';
import type { CocoDataset } from '../data/coco/coco_types.js';
import { datasetRecords } from '../data/coco/dataset_records.js';
import { semanticClassNames } from '../data/annotations/semantic_map.js';
import { readCocoDataset } from '../data/coco/read_coco.js';
import { readPanopticDataset } from '../data/coco/read_panoptic.js';
import { trainSamplesFromConfig, type LoaderState, type TrainLoader } from '../data/loader/index.js';
import { readImage } from '../data/image_io/read_image.js';
import { agree } from '../distributed/agreement.js';
import type { Communicator } from '../distributed/communicator.js';
import { DataParallel } from '../distributed/data_parallel.js';
import { indivisibleSettings } from '../distributed/indivisible.js';
import type { AugmentationSpec } from '../data/transforms/augmentation_specs.js';
import { Random } from '../data/random.js';
import { CheckpointError, ConfigError, DatasetError } from '../errors.js';
import type { PanopticFiles } from '../evaluation/panoptic_files.js';
import { buildModel } from '../meta_arch/build_model.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { backboneMismatches } from '../model_zoo/backbones.js';
import { backboneOf } from '../model_zoo/fetch_weights.js';
import { hasPixels } from './evaluate_model.js';
import type { Hook } from './hooks/hook.js';
import { localWeights } from './load_model.js';
import { lossGradients } from './loss_gradients.js';
import { applyAutoRecipe } from './recipe/auto_recipe.js';
import { datasetFacts } from './recipe/dataset_facts.js';
import { preflight } from './recipe/preflight.js';
import { lrSchedule } from './solver/lr_schedule.js';
import { iterationsOfEpochs, scaleSchedule } from './solver/scale_schedule.js';
import { optimizerFromConfig } from './solver/optimizer.js';
import { WeightAverage } from './solver/weight_average.js';
import { giveStartWeights } from './start_weights.js';
import { type AboutModel, findLastCheckpoint, readTrainingCheckpoint, restoreTrainer } from './training_checkpoint.js';
import { ImageOrders } from '../rpn/image_orders.js';
import { Trainer, type TrainOutcome } from './trainer.js';
import { hooksOf, shownPictures } from './training_hooks.js';
import type { Writer } from './writers/writer.js';

/** A COCO annotation file and the folder of its pictures. */
export interface CocoFiles {
  readonly json: string;
  readonly images: string;
  /** Folder of semantic maps for models that learn stuff: `NAME.png` with the class of each pixel for the picture `NAME.jpg`, 255 ignored. */
  readonly semantic?: string;
}

/** What a run is evaluated on. */
export interface ValidationFiles extends CocoFiles {
  /** What panoptic maps are judged by: panoptic quality, and the classes of the pixels where there is no folder of semantic maps. */
  readonly panoptic?: PanopticFiles;
}

/** What a run is made from. */
export interface TrainingRunOptions {
  /** Number of classes and seed are filled in. */
  readonly config: Config;
  /** A file, a zoo name or an address; `none` for random weights; MODEL.WEIGHTS of the config unless given. */
  readonly weights?: string;
  readonly train: CocoFiles;
  /** Evaluated on, now and then. */
  readonly validation?: ValidationFiles;
  /** The run's folder. */
  readonly output: string;
  /** Passes over the pictures, in place of SOLVER.MAX_ITER; the steps of the schedule are scaled with it. */
  readonly epochs?: number;
  /** Goes on from the newest checkpoint in the folder. */
  readonly resume?: boolean;
  readonly device?: Device;
  readonly offline?: boolean;
  /** Takes lines for people. */
  readonly print?: (line: string) => void;
  /** Augmentations in the place of crop, resize and flip of the section INPUT. */
  readonly augmentations?: readonly AugmentationSpec[];
  /** Further writers, behind those for the console and the files. */
  readonly writers?: readonly Writer[];
  /** Further hooks, before those that evaluate and save. */
  readonly hooks?: readonly Hook[];
  /** Further hooks, behind those that evaluate and write the log. */
  readonly lastHooks?: readonly Hook[];
  /** Choose the recipe from the data; keys in `explicit` stay. */
  readonly auto?: { readonly explicit: ReadonlySet<string> };
  /** Steps between lines of the log; 20 unless given. */
  readonly logPeriod?: number;
  /**
   * The processes that learn together, each in a call of its own with the same options: SOLVER.IMS_PER_BATCH pictures a step over all of them.
   * Rank 0 alone prints and writes; the folder is one that all can read.
   */
  readonly processes?: Communicator;
}

/** A run that is ready to start, or has ended. */
export interface TrainingRun {
  readonly trainer: Trainer<MetaArchitecture>;
  readonly model: MetaArchitecture;
  readonly about: AboutModel;
  readonly loader: TrainLoader;
  /** Runs it. */
  train(): Promise<TrainOutcome>;
  dispose(): Promise<void>;
}

/**
 * Prepares a training on COCO files as `maskrcnn train` runs it: data, model, first weights or the newest checkpoint, optimiser, schedule,
 * log, evaluation and checkpoints. The folder gets `config.yaml` and, once there is one, `model.safetensors`: `Predictor.load(folder)` reads both.
 * @throws DatasetError, ConfigError, CheckpointError, BackendError before the first step
 */
export async function prepareTraining(options: TrainingRunOptions): Promise<TrainingRun> {
  const { output, train, validation, processes, resume = false } = options;
  const config = structuredClone(options.config);
  const isFirst = (processes?.rank ?? 0) === 0;
  const print = (isFirst ? options.print : undefined) ?? (() => {});
  const backend = await startBackend(options.device ?? 'auto');
  if (config.SEED < 0) config.SEED = drawSeed(processes);
  const startsRandom = (options.weights ?? (config.MODEL.WEIGHTS || 'none')) === 'none';
  if (options.auto && !resume) await chooseRecipe(config, options, !startsRandom, print);
  const resumed = resume ? await newestCheckpoint(output) : undefined;
  const loader = await trainSamplesFromConfig(config, {
    ...train,
    seed: config.SEED,
    ...(options.augmentations ? { augmentations: options.augmentations } : {}),
    ...(processes ? { part: processes } : {}),
    ...(resumed ? { state: resumed.state.batches as LoaderState } : {}),
  });
  const { classes, categoryIds, keypointNames, messages } = loader.dataset;
  for (const message of messages) print(message);
  config.MODEL.ROI_HEADS.NUM_CLASSES = classes.length;
  config.MODEL.RETINANET.NUM_CLASSES = classes.length;
  if (options.epochs !== undefined && !options.auto && !resume)
    scaleSchedule(config, iterationsOfEpochs(config, options.epochs, loader.dataset.records.length));
  const about: AboutModel = {
    config,
    classNames: classes,
    categoryIds: [...categoryIds].sort((a, b) => a[1] - b[1]).map(([id]) => id),
    ...(keypointNames ? { keypointNames } : {}),
    ...(await semanticNamesOf(validation, config)),
  };
  const judged = validation && (await validationSet(validation, classes, config));
  const random = new Random(config.SEED);
  const model = trainable(config, processes);
  print(`device ${backend.device}, seed ${config.SEED}, ${loader.dataset.records.length} pictures, ${classes.length} classes`);
  if (processes)
    print(
      `${processes.size} processes, ${config.SOLVER.IMS_PER_BATCH / processes.size} of ${config.SOLVER.IMS_PER_BATCH} pictures a step each`,
    );
  if (!resumed) {
    await startFrom(model, options, config, random, print);
    const { records, withoutObjects } = loader.dataset;
    const facts = datasetFacts(records, classes, withoutObjects);
    const picture = await readImage(records[0].file_name, { format: 'RGB' });
    const checks = preflight({
      config,
      facts,
      parameters: model.modelParameters(),
      pretrained: !startsRandom,
      picture,
      memory: machineMemory(),
    });
    for (const fact of checks.facts) print(`  ${fact}`);
    for (const warning of checks.warnings) print(`WARNING: ${warning}`);
  }
  const average =
    config.SOLVER.EMA_DECAY > 0
      ? new WeightAverage(
          model.modelParameters().filter((p) => p.trainable),
          config.SOLVER.EMA_DECAY,
        )
      : undefined;
  const optimizer = optimizerFromConfig(config, model.modelParameters());
  const sharing = processes && new DataParallel(processes);
  const trainer = new Trainer<MetaArchitecture>({
    model,
    optimizer,
    schedule: lrSchedule(config),
    learningRate: config.SOLVER.BASE_LR,
    batches: loader,
    iterations: config.SOLVER.MAX_ITER,
    random: random.fork(1),
    accumulate: config.SOLVER.ACCUMULATE,
    ...(sharing
      ? { loss: sharing.loss, sharing }
      : { loss: (of, samples, draws) => lossGradients(of, samples, new ImageOrders(draws)) }),
    divergenceFolder: output,
    hooks: hooksOf(options, about, model, judged, shownPictures(judged, validation, loader), print),
    ...(average ? { average } : {}),
  });
  if (resumed) {
    restoreTrainer(trainer as unknown as Trainer, resumed);
    print(`resumed at ${trainer.iteration} of ${config.SOLVER.MAX_ITER} iterations from ${resumed.checkpoint.source}`);
  }
  if (processes) await agreeOnStart(processes, options, about, model);
  if (isFirst) await writeFileAtomic(join(output, 'config.yaml'), dumpConfig(config));
  return {
    trainer,
    model,
    about,
    loader,
    train: () => trainer.train(),
    async dispose() {
      await loader.close();
      optimizer.dispose();
      average?.dispose();
      model.dispose();
    },
  };
}

async function chooseRecipe(
  config: Config,
  options: TrainingRunOptions,
  pretrained: boolean,
  print: (line: string) => void,
): Promise<void> {
  const { json, images } = options.train;
  const { records, thingClasses } = datasetRecords(await readCocoDataset(json), images, { name: json });
  const choices = applyAutoRecipe(config, datasetFacts(records, thingClasses), {
    pretrained,
    evaluated: options.validation !== undefined,
    explicit: options.auto?.explicit ?? new Set(),
    ...(options.epochs === undefined ? {} : { epochs: options.epochs }),
  });
  print('recipe:');
  for (const { key, value, why } of choices) print(`  ${key}=${JSON.stringify(value)}  ${why}`);
}

/** Bytes that this process may use. */
function machineMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** A seed of chance, the same for all processes. */
function drawSeed(processes: Communicator | undefined): number {
  const seed = Float64Array.of(Math.floor(Math.random() * 2 ** 31));
  if (processes && processes.rank > 0) seed[0] = 0;
  processes?.sum(seed);
  return seed[0];
}

/** @throws DatasetError where the processes have other files, settings or weights */
async function agreeOnStart(
  processes: Communicator,
  { train, validation }: TrainingRunOptions,
  { config }: AboutModel,
  model: MetaArchitecture,
): Promise<void> {
  const weights = createHash('sha256');
  for (const parameter of model.modelParameters()) weights.update(await parameter.get());
  agree(processes, {
    'the config': dumpConfig(config),
    'the training annotations': await readFile(train.json),
    'the validation annotations': validation ? await readFile(validation.json) : null,
    'the weights to start from': weights.digest('hex'),
  });
}

/** @throws ConfigError for a model that has no losses here, or none that can be divided over processes */
function trainable(config: Config, processes: Communicator | undefined): MetaArchitecture {
  const untrainable = untrainableSettings(config);
  if (untrainable.length > 0)
    throw new ConfigError(`This configuration predicts here but does not train: ${untrainable.join(' ')}`);
  const model = buildModel(config);
  const indivisible = processes && processes.size > 1 ? indivisibleSettings(config, model) : [];
  if (indivisible.length === 0) return model;
  model.dispose();
  throw new ConfigError(`This configuration does not train in several processes: ${indivisible.join(' ')}`);
}

async function newestCheckpoint(output: string): ReturnType<typeof readTrainingCheckpoint> {
  const path = await findLastCheckpoint(output);
  if (path === undefined)
    throw new CheckpointError(
      `${output} has no checkpoint to resume from; leave --resume out to start, or name the folder of the run.`,
    );
  return readTrainingCheckpoint(path);
}

async function startFrom(
  model: MetaArchitecture,
  options: TrainingRunOptions,
  config: Config,
  random: Random,
  print: (line: string) => void,
): Promise<void> {
  const reference = options.weights ?? (config.MODEL.WEIGHTS || 'none');
  const path = reference === 'none' ? undefined : await localWeights(reference, options.offline ? { offline: true } : {});
  const { loaded, fresh } = giveStartWeights(
    model.modelParameters(),
    path === undefined ? undefined : await readCheckpoint(path),
    random.fork(0),
  );
  if (path === undefined) return print('weights: random');
  print(`weights: ${loaded} tensors of ${path}`);
  for (const { part, why } of fresh) print(`WARNING: ${part} starts from random values: it ${why}`);
  const backbone = backboneOf(reference);
  for (const line of backbone ? backboneMismatches(backbone, config) : []) print(`WARNING: ${line}.`);
}

/** The names of stuff, where a panoptic file gives as many as the model has. */
async function semanticNamesOf(
  validation: ValidationFiles | undefined,
  { MODEL }: Config,
): Promise<Pick<AboutModel, 'semanticClassNames'>> {
  if (!validation?.panoptic || !hasPixels(MODEL.META_ARCHITECTURE)) return {};
  const names = semanticClassNames((await readPanopticDataset(validation.panoptic.json)).categories);
  return names.length === MODEL.SEM_SEG_HEAD.NUM_CLASSES ? { semanticClassNames: names } : {};
}

/** The validation set. @throws DatasetError where its classes are not those of the training set */
async function validationSet({ json }: CocoFiles, classes: readonly string[], { MODEL }: Config): Promise<CocoDataset> {
  const dataset = await readCocoDataset(json);
  if (MODEL.META_ARCHITECTURE === 'SemanticSegmentor') return dataset;
  const names = [...dataset.categories].sort((a, b) => a.id - b.id).map(({ name }) => name);
  if (names.join('\n') !== classes.join('\n'))
    throw new DatasetError(
      `The classes differ: the training set has ${classes.join(', ')}; ${json} has ${names.join(', ')}. Make both files with the same categories.`,
    );
  return dataset;
}
