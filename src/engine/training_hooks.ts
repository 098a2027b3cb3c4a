import { basename, join } from 'node:path';
import type { Config } from '../config/index.js';
import type { CocoDataset } from '../data/coco/coco_types.js';
import { readImage } from '../data/image_io/read_image.js';
import { type TrainLoader, trainSamplesFromConfig } from '../data/loader/index.js';
import { Random } from '../data/random.js';
import { ConfigError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { ImageOrders } from '../rpn/image_orders.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { detect, evaluateModel, evaluationNames, hasPixels, numbersOfFirst } from './evaluate_model.js';
import { evaluationProgress } from './hooks/evaluation_progress.js';
import type { Hook } from './hooks/hook.js';
import { KeepModel } from './hooks/keep_model.js';
import { PeriodicCheckpoint } from './hooks/periodic_checkpoint.js';
import { PeriodicEvaluation } from './hooks/periodic_evaluation.js';
import { PeriodicWriter } from './hooks/periodic_writer.js';
import { VALIDATION, validationLosses } from './hooks/validation_loss.js';
import { PreciseBatchNorm } from './hooks/precise_batch_norm.js';
import { lossValues } from './loss_gradients.js';
import { learningBatchNorms } from './population_statistics.js';
import { type AboutModel, writeModelFile } from './training_checkpoint.js';
import type { CocoFiles, TrainingRunOptions, ValidationFiles } from './training_run.js';
import { ConsoleWriter } from './writers/console_writer.js';
import { JsonLinesWriter } from './writers/json_lines_writer.js';
import { type ReportPicture, ReportWriter } from './writers/report_writer.js';
import { TensorBoardWriter } from './writers/tensorboard_writer.js';

/** Pictures in the report. */
const SHOWN_PICTURES = 4;

/** The hooks of a run: those given, evaluation or keeping of the model, log, checkpoints, those that come last. */
export function hooksOf(
  options: TrainingRunOptions,
  about: AboutModel,
  model: MetaArchitecture,
  judged: CocoDataset | undefined,
  shown: readonly string[],
  print: (line: string) => void,
): Hook[] {
  const { output, validation, processes, hooks = [], lastHooks = [], writers = [], logPeriod = 20 } = options;
  const { SOLVER, TEST } = about.config;
  const isFirst = (processes?.rank ?? 0) === 0;
  const keepModel = async () => {
    if (isFirst) await writeModelFile(join(output, 'model.safetensors'), model.modelParameters(), about);
  };
  const measure = judged && validation ? validationLoss(model, validation, about) : undefined;
  const keeping =
    judged && validation
      ? new PeriodicEvaluation({
          period: TEST.EVAL_PERIOD,
          metric: bestMetric(about, judged, validation),
          patience: TEST.PATIENCE,
          evaluate: async (_, signal) => ({
            ...(await evaluateModel(model, judged, validation.images, about, {
              signal,
              onProgress: evaluationProgress(print),
              ...(processes ? { processes } : {}),
              ...(validation.panoptic || validation.semantic ? { pixels: validation } : {}),
            })),
            ...(measure ? await numbersOfFirst(processes, () => measure(processes ? undefined : signal)) : {}),
          }),
          print,
          onBest: keepModel,
        })
      : new KeepModel(SOLVER.CHECKPOINT_PERIOD, keepModel);
  const precise = preciseBatchNorm(model, options, about, print);
  // The others compute and evaluate; the first alone writes and prints.
  if (!isFirst) return [...hooks, ...precise, keeping, ...lastHooks];
  const saving = new PeriodicCheckpoint({
    folder: output,
    period: SOLVER.CHECKPOINT_PERIOD,
    keep: SOLVER.KEEP_CHECKPOINTS,
    about,
    onSaved: (path) => print(`saved ${path}`),
  });
  const metrics = join(output, 'metrics.jsonl');
  const page = new ReportWriter({
    path: join(output, 'report.html'),
    metrics,
    title: output,
    pictures: () => predictSome(model, shown, about),
  });
  const all = [new ConsoleWriter(print), new JsonLinesWriter(metrics), new TensorBoardWriter(output), page, ...writers];
  // An evaluation takes long, and may fail: what was learnt until then is saved before.
  const ahead = keeping instanceof PeriodicEvaluation ? [saving.before(keeping)] : [];
  return [...hooks, ...ahead, ...precise, keeping, new PeriodicWriter(all, logPeriod), ...lastHooks, saving];
}

/** What `TEST.BEST_METRIC` names, or the model's main number. @throws ConfigError for a name that no evaluation will give */
export function bestMetric(about: AboutModel, judged: CocoDataset, validation: ValidationFiles): string {
  const { MODEL, TEST } = about.config;
  const metric = TEST.BEST_METRIC || mainMetric(MODEL, validation);
  if (metric.startsWith(VALIDATION)) {
    if (TEST.VALIDATION_LOSS_IMAGES > 0) return metric;
    throw new ConfigError(
      `TEST.BEST_METRIC is '${metric}', and no validation loss is measured; set TEST.VALIDATION_LOSS_IMAGES=50, or how many pictures you like.`,
    );
  }
  const names = evaluationNames(about, judged.categories, validation);
  if (names.includes(metric)) return metric;
  throw new ConfigError(
    `TEST.BEST_METRIC is '${metric}'; the evaluation will not give it. Nearest: ${nearestNames(metric, names).join(', ')}; or ${VALIDATION}total_loss.`,
  );
}

/** The number that says which model is the best, where the config names none. */
function mainMetric(
  { META_ARCHITECTURE: kind, KEYPOINT_ON, MASK_ON }: Config['MODEL'],
  { panoptic, semantic, json }: ValidationFiles,
): string {
  if (kind === 'SemanticSegmentor') {
    if (panoptic || semantic) return 'sem_seg/mIoU';
    throw new ConfigError(
      `The model says the class of every pixel, and ${json} does not: name the folder of the validation pictures' semantic maps, or a panoptic file.`,
    );
  }
  if (kind === 'PanopticFPN' && panoptic) return 'panoptic_seg/PQ';
  if (kind === 'ProposalNetwork') return 'box_proposals/AR@1000';
  return KEYPOINT_ON ? 'keypoints/AP' : MASK_ON ? 'segm/AP' : 'bbox/AP';
}

/** A few pictures for the report: of the validation set where there is one. */
export function shownPictures(judged: CocoDataset | undefined, validation: CocoFiles | undefined, loader: TrainLoader): string[] {
  const files =
    judged && validation
      ? judged.images.map(({ file_name: file }) => join(validation.images, file))
      : loader.dataset.records.map(({ file_name: file }) => file);
  return files.slice(0, SHOWN_PICTURES);
}

async function predictSome(model: MetaArchitecture, files: readonly string[], about: AboutModel): Promise<ReportPicture[]> {
  const pictures: ReportPicture[] = [];
  for (const file of files) {
    const found = await detect(model, await readImage(file, { format: 'RGB' }), about);
    const sure = found.filter(({ score }) => score >= 0.5);
    pictures.push({ caption: `${basename(file)}: ${sure.length} objects from score 0.5`, png: await sure.draw().toPng() });
  }
  return pictures;
}

/** The hook that TEST.PRECISE_BN asks for; none where no batch norm learns. */
function preciseBatchNorm(
  model: MetaArchitecture,
  { train, augmentations, processes }: TrainingRunOptions,
  { config }: AboutModel,
  print: (line: string) => void,
): PreciseBatchNorm[] {
  const { ENABLED, NUM_ITER } = config.TEST.PRECISE_BN;
  if (!ENABLED) return [];
  if (learningBatchNorms(model).length === 0) {
    print('TEST.PRECISE_BN has no effect: the model has no batch norms that learn');
    return [];
  }
  const perProcess = config.SOLVER.IMS_PER_BATCH / (processes?.size ?? 1);
  const hook = new PreciseBatchNorm({
    model,
    period: config.TEST.EVAL_PERIOD,
    random: new Random(config.SEED).fork(2),
    order: (random) => new ImageOrders(random, (processes?.rank ?? 0) * perProcess),
    async *batches(iteration) {
      // Others than the run's own, the same whether it was resumed or not.
      const seed = new Random(config.SEED).fork(3, iteration).uint32();
      const loader = await trainSamplesFromConfig(config, {
        ...train,
        seed,
        ...(augmentations ? { augmentations } : {}),
        ...(processes ? { part: processes } : {}),
      });
      try {
        for (let i = 0; i < NUM_ITER; i++) yield (await loader.next()).value as TrainingSample[];
      } finally {
        await loader.close();
      }
    },
  });
  return [hook];
}

/** Measures losses on some pictures of the validation set, unaugmented; nothing where the config asks for none. */
function validationLoss(
  model: MetaArchitecture,
  validation: CocoFiles,
  { config }: AboutModel,
): ((signal?: AbortSignal) => Promise<Record<string, number>>) | undefined {
  const { VALIDATION_LOSS_IMAGES: count } = config.TEST;
  // Losses of stuff need its maps.
  if (count <= 0 || (hasPixels(config.MODEL.META_ARCHITECTURE) && validation.semantic === undefined)) return undefined;
  const plain = structuredClone(config);
  const { MIN_SIZE_TEST, MAX_SIZE_TEST } = config.INPUT;
  Object.assign(plain.INPUT, { RANDOM_FLIP: 'none', MIN_SIZE_TRAIN: [MIN_SIZE_TEST], MAX_SIZE_TRAIN: MAX_SIZE_TEST });
  plain.INPUT.CROP.ENABLED = false;
  plain.INPUT.SCALE_JITTER.ENABLED = false;
  plain.DATALOADER.SAMPLER_TRAIN = 'TrainingSampler';
  const random = new Random(config.SEED);
  return (signal) =>
    validationLosses({
      random,
      ...(signal ? { signal } : {}),
      losses: async (samples, order) => (await lossValues(model, samples, order)).losses,
      async *batches() {
        const loader = await trainSamplesFromConfig(plain, { ...validation, seed: 0, batchSize: 1 });
        try {
          for (let i = 0; i < Math.min(count, loader.dataset.records.length); i++)
            yield (await loader.next()).value as TrainingSample[];
        } finally {
          await loader.close();
        }
      },
    });
}
