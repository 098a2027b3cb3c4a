import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import { startBackend, type ConcreteDevice, type Device } from '../backends/select.js';
import { readCheckpoint } from '../checkpoint/read.js';
import { type Config, dumpConfig, parseConfig, untrainableSettings } from '../config/index.js';
import type { CocoDataset } from '../data/coco/coco_types.js';
import { semanticClassNames } from '../data/annotations/semantic_map.js';
import { readCocoDataset } from '../data/coco/read_coco.js';
import { readPanopticDataset } from '../data/coco/read_panoptic.js';
import { trainSamplesFromConfig, type LoaderState, type TrainLoader } from '../data/loader/index.js';
import { readImage } from '../data/image_io/read_image.js';
import { agreeOnSettings, agreeOnStart } from '../distributed/start_agreement.js';
import type { Communicator } from '../distributed/communicator.js';
import { DataParallel } from '../distributed/data_parallel.js';
import { indivisibleSettings, synchronisedNorms } from '../distributed/indivisible.js';
import { areBuiltIn, type AugmentationSpec } from '../data/transforms/augmentation_specs.js';
import { Random } from '../data/random.js';
import { BackendError, CheckpointError, ConfigError, DatasetError } from '../errors.js';
import type { PanopticFiles } from '../evaluation/panoptic_files.js';
import { buildModel } from '../meta_arch/build_model.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { backboneMismatches } from '../model_zoo/backbones.js';
import { backboneOf } from '../model_zoo/fetch_weights.js';
import { hasPixels } from './evaluate_model.js';
import type { Hook } from './hooks/hook.js';
import { localWeights } from './load_model.js';
import { lossGradients } from './loss_gradients.js';
import { chooseRecipe, startReference } from './recipe/choose_recipe.js';
import { checkData, judgedSet, trainingSet } from './recipe/data_check.js';
import { datasetFacts } from './recipe/dataset_facts.js';
import { machineMemory } from './recipe/memory_estimate.js';
import { preflight } from './recipe/preflight.js';
import { lrSchedule } from './solver/lr_schedule.js';
import { iterationsOfEpochs, scaleSchedule } from './solver/scale_schedule.js';
import { optimizerFromConfig } from './solver/optimizer.js';
import { WeightAverage } from './solver/weight_average.js';
import { scaleToProcesses } from './solver/world_size.js';
import { giveStartWeights, otherClasses } from './start_weights.js';
import {
  type AboutModel,
  findLastCheckpoint,
  readTrainingCheckpoint,
  refuseEarlierRun,
  restoreTrainer,
} from './training_checkpoint.js';
import { ImageOrders } from '../rpn/image_orders.js';
import { Trainer, type TrainOutcome } from './trainer.js';
import { bestMetric, hooksOf, shownPictures } from './training_hooks.js';
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
  /**
   * Sums gradients over the processes while the backward pass still computes others: what the network takes is hidden behind the computing, for a thread
   * that waits in MPI meanwhile. Default false. No effect with SOLVER.ACCUMULATE above 1, or norms of kind SyncBN.
   */
  readonly overlap?: boolean;
}

/** A run that is ready to start, or has ended. */
export interface TrainingRun {
  readonly trainer: Trainer<MetaArchitecture>;
  readonly model: MetaArchitecture;
  readonly about: AboutModel;
  readonly loader: TrainLoader;
  /** What computes. */
  readonly device: ConcreteDevice;
  /** Runs it. */
  train(): Promise<TrainOutcome>;
  dispose(): Promise<void>;
}

/**
 * Prepares a training on COCO files as `maskrcnn train` runs it: data, model, first weights or the newest checkpoint, optimiser, schedule,
 * log, evaluation and checkpoints. A folder that holds the checkpoints of a run is refused, but to resume. The folder gets `config.yaml` and, once there is one, `model.safetensors`: `Predictor.load(folder)` reads both.
 * @throws DatasetError, ConfigError, CheckpointError, BackendError before the first step
 */
export async function prepareTraining(options: TrainingRunOptions): Promise<TrainingRun> {
  const { output, train, processes, resume = false } = options;
  const config = structuredClone(options.config);
  const isFirst = (processes?.rank ?? 0) === 0;
  const print = (isFirst ? options.print : undefined) ?? (() => {});
  if (!resume) await refuseEarlierRun(output);
  const backend = await startBackend(options.device ?? 'auto');
  if (processes && processes.size > 1 && backend.device === 'webgpu')
    throw new BackendError(
      `device webgpu does not train in several processes: its gradients cannot be read at once. Name --device tensorflow, wasm or cpu.`,
    );
  // First of all: from here on all processes go the same way, and meet in the same calls.
  if (processes) await agreeOnSettings(processes, options, backend.device);
  const resumed = resume ? await newestCheckpoint(output, processes) : undefined;
  scaleToProcesses(config, begunWith(resumed) || processes?.size);
  if (config.SEED < 0) config.SEED = drawSeed(processes);
  const startsRandom = startReference(config, options.weights) === 'none';
  if (options.auto && !resume) await chooseRecipe(config, options, print);
  const loader = await trainSamplesFromConfig(config, {
    ...train,
    seed: config.SEED,
    workers: loaderThreads(config, options.augmentations),
    ...(options.augmentations ? { augmentations: options.augmentations } : {}),
    ...(processes ? { part: processes } : {}),
    ...(resumed ? { state: resumed.state.batches as LoaderState } : {}),
  });
  try {
    return await runOn(loader, config, options, { resumed, device: backend.device, startsRandom, print });
  } catch (error) {
    await loader.close();
    throw error;
  }
}

/** What is known before the model is made. */
interface Preparation {
  readonly resumed: Awaited<ReturnType<typeof readTrainingCheckpoint>> | undefined;
  readonly device: ConcreteDevice;
  readonly startsRandom: boolean;
  readonly print: (line: string) => void;
}

async function runOn(
  loader: TrainLoader,
  config: Config,
  options: TrainingRunOptions,
  { resumed, device, startsRandom, print }: Preparation,
): Promise<TrainingRun> {
  const { output, train, validation, processes, resume = false } = options;
  const isFirst = (processes?.rank ?? 0) === 0;
  const { classes, categoryIds, keypointNames, messages, warnings } = loader.dataset;
  for (const message of messages) print(message);
  for (const warning of warnings) print(`WARNING: ${warning}`);
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
  if (validation && judged) bestMetric(about, judged, validation);
  if (!resume && isFirst) {
    const sets = [trainingSet(train.json, loader.dataset.records)];
    if (validation && judged) sets.push(judgedSet(validation.json, judged, validation.images));
    for (const set of sets) print(await checkData(set, config));
  }
  const random = new Random(config.SEED);
  const model = trainable(config, processes);
  print(`device ${device}, seed ${config.SEED}, ${loader.dataset.records.length} pictures, ${classes.length} classes`);
  if (processes)
    print(
      `${processes.size} processes, ${config.SOLVER.IMS_PER_BATCH / processes.size} of ${config.SOLVER.IMS_PER_BATCH} pictures a step each`,
    );
  if (!resumed) {
    await startFrom(model, options, about, random, print);
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
  const overlap = (options.overlap ?? false) && config.SOLVER.ACCUMULATE === 1 && synchronisedNorms(config).length === 0;
  const sharing = processes && new DataParallel(processes, { overlap });
  sharing?.synchronise(model);
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
  if (processes) await agreeOnStart(processes, options, loader.dataset.records, judged, model.modelParameters());
  if (isFirst) await writeFileAtomic(join(output, 'config.yaml'), dumpConfig(config));
  return {
    trainer,
    model,
    about,
    loader,
    device,
    train: () => trainer.train(),
    async dispose() {
      await loader.close();
      optimizer.dispose();
      average?.dispose();
      model.dispose();
    },
  };
}

type Resumed = Awaited<ReturnType<typeof readTrainingCheckpoint>>;

/** Threads that load ahead: one core is left to the steps. */
function loaderThreads({ DATALOADER }: Config, augmentations: readonly AugmentationSpec[] = []): number {
  if (!areBuiltIn(augmentations)) return 0;
  return Math.min(DATALOADER.NUM_WORKERS, Math.max(1, availableParallelism() - 1));
}

/** A seed of chance, the same for all processes. */
function drawSeed(processes: Communicator | undefined): number {
  const seed = Float64Array.of(Math.floor(Math.random() * 2 ** 31));
  if (processes && processes.rank > 0) seed[0] = 0;
  processes?.sum(seed);
  return seed[0];
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

/** Of a run's folder; of several processes the first says which one it is. */
async function newestCheckpoint(output: string, processes: Communicator | undefined): Promise<Resumed> {
  const isFirst = (processes?.rank ?? 0) === 0;
  const found = isFirst ? await findLastCheckpoint(output) : undefined;
  const name = found === undefined ? '' : relative(output, found);
  const told = processes ? new TextDecoder().decode(processes.broadcast(new TextEncoder().encode(name))) : name;
  if (told === '')
    throw new CheckpointError(
      `${output} has no checkpoint to resume from; leave --resume out to start, or name the folder of the run.`,
    );
  return readTrainingCheckpoint(join(output, told));
}

/** The number of processes that a run's batch and rate were fitted to: it keeps them with any other number. 0 where they were not. */
function begunWith(resumed: Resumed | undefined): number {
  const text = resumed?.checkpoint.metadata.config;
  return text === undefined ? 0 : parseConfig(text, resumed!.checkpoint.source).config.SOLVER.REFERENCE_WORLD_SIZE;
}

async function startFrom(
  model: MetaArchitecture,
  options: TrainingRunOptions,
  { config, classNames }: AboutModel,
  random: Random,
  print: (line: string) => void,
): Promise<void> {
  const reference = startReference(config, options.weights);
  const onWait = (owner: string) => print(`${owner} downloads the same weights: waiting for them`);
  const path =
    reference === 'none' ? undefined : await localWeights(reference, { onWait, ...(options.offline ? { offline: true } : {}) });
  const checkpoint = path === undefined ? undefined : await readCheckpoint(path);
  const { loaded, fresh } = giveStartWeights(model.modelParameters(), checkpoint, random.fork(0));
  if (!checkpoint) return print('weights: random');
  print(`weights: ${loaded} tensors of ${path}`);
  for (const { part, why } of fresh) print(`WARNING: ${part} starts from random values: it ${why}`);
  const others = otherClasses(checkpoint, classNames, fresh);
  if (others !== undefined) print(`WARNING: ${others}.`);
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
