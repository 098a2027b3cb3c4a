import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startBackend } from '../backends/select.js';
import type { Config } from '../config/index.js';
import type { CocoDataset } from '../data/coco/coco_types.js';
import { datasetRecords } from '../data/coco/dataset_records.js';
import { readCocoDataset } from '../data/coco/read_coco.js';
import { writeCocoDataset } from '../data/coco/write_coco.js';
import { ArgumentError, DatasetError } from '../errors.js';
import { findsProposals } from './box_proposals.js';
import { hasPixels } from './evaluate_model.js';
import type { Hook } from './hooks/hook.js';
import { anchorFit } from './recipe/anchor_fit.js';
import { chooseRecipe } from './recipe/choose_recipe.js';
import { type DatasetFacts, datasetFacts, inputScale, quantile } from './recipe/dataset_facts.js';
import { scaleToProcesses } from './solver/world_size.js';
import { type CocoFiles, prepareTraining, type TrainingRunOptions } from './training_run.js';

/** Pictures that a sanity run learns by heart. */
const PICTURES = 4;
/** Percent of every metric on these pictures that a sound set-up reaches. */
const ENOUGH = 90;
/** Steps at most. */
const LONGEST = 1500;
/** Short sides to try, the smallest first: a step at 320 pixels takes a sixth of one at 800. */
const SHORT_SIDES = [320, 400, 480, 560, 640, 720];
/** Pixels that nine of ten objects have at the network's input, where they have them at the full size. */
const LARGE_ENOUGH = 32;

/** What became of a sanity run. */
export interface SanityResult {
  readonly passed: boolean;
  readonly iterations: number;
  /** The best AP on the four pictures, percent; of several metrics that of the worst. */
  readonly best: number;
  readonly folder: string;
}

/**
 * Trains on four pictures without augmentation until the model knows them by heart, and judges it on the same four: what cannot learn these has
 * a fault in data, config or weights. A recipe (`auto`) is chosen for the whole set; length, rate, batch and input size are the sanity run's own.
 * Writes into `sanity/` in the run's folder, in the place of an earlier one.
 */
export async function sanityRun(options: TrainingRunOptions): Promise<SanityResult> {
  const { auto, epochs, augmentations, validation: _, ...rest } = options;
  const print = options.print ?? (() => {});
  if (findsProposals(options.config))
    throw new ArgumentError(
      '--sanity judges by AP, which regions of no class do not have: MODEL.META_ARCHITECTURE is ProposalNetwork.',
    );
  const folder = join(options.output, 'sanity');
  const config = structuredClone(options.config);
  scaleToProcesses(config);
  await startBackend(options.device ?? 'auto');
  if (auto) await chooseRecipe(config, options, print);
  await rm(folder, { recursive: true, force: true });
  const { files, facts } = await fewPictures(options.train, config, join(folder, 'pictures.json'));
  const full = config.INPUT.MIN_SIZE_TEST;
  learnByHeart(config, facts);
  print(
    `sanity: ${facts.pictures} pictures at a short side of ${config.INPUT.MIN_SIZE_TEST}` +
      `${config.INPUT.MIN_SIZE_TEST < full ? ` (to be quick; the config has ${full})` : ''}, without augmentation, AdamW at ${config.SOLVER.BASE_LR}, ` +
      `at most ${LONGEST} steps${ignored({ auto, epochs, augmentations })}`,
  );
  const metrics = metricsOf(config);
  config.TEST.BEST_METRIC = metrics[metrics.length - 1];
  let best = 0;
  const judge: Hook = {
    afterStep(trainer) {
      const worst = Math.min(...metrics.map((name) => trainer.scalars.get(name) ?? 0));
      best = Math.max(best, worst);
      if (worst >= ENOUGH) trainer.stop(`${metrics.join(' and ')} are above ${ENOUGH}`);
    },
  };
  const run = await prepareTraining({
    ...rest,
    config,
    output: folder,
    train: files,
    validation: files,
    resume: false,
    lastHooks: [judge],
  });
  try {
    await run.train();
    return { passed: best >= ENOUGH, iterations: run.trainer.iteration, best, folder };
  } finally {
    await run.dispose();
  }
}

/** Sets what learning a few pictures by heart needs; what the model is stays. */
function learnByHeart(config: Config, facts: DatasetFacts): void {
  const { INPUT } = config;
  const short = quickSize(config, facts);
  const long = Math.round((INPUT.MAX_SIZE_TEST * short) / INPUT.MIN_SIZE_TEST);
  Object.assign(INPUT, { RANDOM_FLIP: 'none', MIN_SIZE_TRAIN_SAMPLING: 'choice', MIN_SIZE_TRAIN: [short], MAX_SIZE_TRAIN: long });
  Object.assign(INPUT, { MIN_SIZE_TEST: short, MAX_SIZE_TEST: long });
  INPUT.CROP.ENABLED = false;
  INPUT.SCALE_JITTER.ENABLED = false;
  config.DATALOADER.SAMPLER_TRAIN = 'TrainingSampler';
  Object.assign(config.SOLVER, {
    LR_SCHEDULER_NAME: 'WarmupMultiStepLR',
    IMS_PER_BATCH: Math.min(2, config.SOLVER.IMS_PER_BATCH),
    ACCUMULATE: 1,
    MAX_ITER: LONGEST,
    STEPS: [],
    WARMUP_ITERS: 50,
    CHECKPOINT_PERIOD: LONGEST,
    EMA_DECAY: 0,
    WEIGHT_DECAY: 0,
    // Learns by heart at one rate whatever the batch and the weights.
    OPTIMIZER: 'ADAMW',
    BASE_LR: 0.001,
  });
  Object.assign(config.TEST, { EVAL_PERIOD: 50, PATIENCE: 0, VALIDATION_LOSS_IMAGES: 0 });
}

/** The smallest short side at which anchors and pixels are enough for the objects, as far as they are at the config's own. */
export function quickSize(config: Config, facts: DatasetFacts): number {
  const { MIN_SIZE_TEST: full, MAX_SIZE_TEST: longest } = config.INPUT;
  if (full <= 0) return full;
  const judge = (short: number) => {
    const long = Math.round((longest * short) / full);
    const input = { ...config.INPUT, MIN_SIZE_TRAIN: [short], MAX_SIZE_TRAIN: long };
    const sides = facts.objects.map(({ height, width, picture }) => Math.sqrt(height * width) * inputScale(picture, short, long));
    return { covered: anchorFit({ ...config, INPUT: input }, facts).covered, small: quantile(sides, 0.1) };
  };
  const wanted = judge(full);
  const enough = (short: number) => {
    const { covered, small } = judge(short);
    return covered >= wanted.covered - 0.05 && small >= Math.min(LARGE_ENOUGH, wanted.small);
  };
  return SHORT_SIDES.filter((short) => short < full).find(enough) ?? full;
}

/** What must come near 100: the last is the most telling. */
function metricsOf({ MODEL: { META_ARCHITECTURE: kind, MASK_ON } }: Config): string[] {
  const pixels = hasPixels(kind) ? ['sem_seg/mIoU'] : [];
  if (kind === 'SemanticSegmentor') return pixels;
  return [...pixels, 'bbox/AP', ...(MASK_ON ? ['segm/AP'] : [])];
}

function ignored({ auto, epochs, augmentations }: Pick<TrainingRunOptions, 'auto' | 'epochs' | 'augmentations'>): string {
  const named = [
    ...(auto ? ["the recipe's length, rate and sizes"] : []),
    ...(epochs === undefined ? [] : ['the number of epochs']),
    ...(augmentations ? ['augmentations'] : []),
  ];
  return named.length === 0 ? '' : `; ${named.join(' and ')} are for the training itself`;
}

/** The first pictures with objects, as a file of their own with the same categories. */
async function fewPictures(
  { json, images, semantic }: CocoFiles,
  { MODEL, DATALOADER }: Config,
  path: string,
): Promise<{ files: CocoFiles; facts: DatasetFacts }> {
  const dataset = await readCocoDataset(json);
  const crowded = new Set(dataset.annotations.filter(({ iscrowd }) => iscrowd).map((a) => a.image_id));
  const withObjects = new Set(dataset.annotations.map((a) => a.image_id));
  // A model that says the class of every pixel alone can do without objects.
  const needed = MODEL.META_ARCHITECTURE !== 'SemanticSegmentor' || DATALOADER.FILTER_EMPTY_ANNOTATIONS;
  const usable = dataset.images.filter(({ id }) => (withObjects.has(id) || !needed) && !crowded.has(id));
  const chosen = usable.slice(0, PICTURES);
  if (chosen.length === 0)
    throw new DatasetError(`${json}: no picture has objects (that are not crowds); there is nothing to learn.`);
  const ids = new Set(chosen.map(({ id }) => id));
  const few: CocoDataset = { ...dataset, images: chosen, annotations: dataset.annotations.filter((a) => ids.has(a.image_id)) };
  await writeCocoDataset(path, few);
  const { records, thingClasses } = datasetRecords(few, images, { name: path });
  return {
    files: { json: path, images, ...(semantic === undefined ? {} : { semantic }) },
    facts: datasetFacts(records, thingClasses),
  };
}
