import { readCocoDataset } from '../data/coco/read_coco.js';
import { writeCocoDataset } from '../data/coco/write_coco.js';
import { join } from 'node:path';
import { DatasetError } from '../errors.js';
import type { Hook } from './hooks/hook.js';
import { type CocoFiles, prepareTraining, type TrainingRunOptions } from './training_run.js';

/** Pictures that a sanity run learns by heart. */
const PICTURES = 4;
/** Percent of box and mask AP on these pictures that a sound set-up reaches. */
const ENOUGH = 90;
/** Steps at most. */
const LONGEST = 1500;

/** What became of a sanity run. */
export interface SanityResult {
  readonly passed: boolean;
  readonly iterations: number;
  /** The best AP on the four pictures, percent. */
  readonly best: number;
  readonly folder: string;
}

/**
 * Trains on four pictures without augmentation until the model knows them by heart, and judges it on the same four: what cannot learn these has
 * a fault in data, config or weights. Writes into `sanity/` in the run's folder.
 */
export async function sanityRun(options: TrainingRunOptions): Promise<SanityResult> {
  const folder = join(options.output, 'sanity');
  const four = await fewPictures(options.train, join(folder, 'pictures.json'));
  const config = structuredClone(options.config);
  Object.assign(config.INPUT, {
    RANDOM_FLIP: 'none',
    MIN_SIZE_TRAIN: [config.INPUT.MIN_SIZE_TEST],
    MAX_SIZE_TRAIN: config.INPUT.MAX_SIZE_TEST,
  });
  config.INPUT.CROP.ENABLED = false;
  config.INPUT.SCALE_JITTER.ENABLED = false;
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
  let best = 0;
  const names = config.MODEL.MASK_ON ? ['bbox/AP', 'segm/AP'] : ['bbox/AP'];
  const judge: Hook = {
    afterStep(trainer) {
      const worst = Math.min(...names.map((name) => trainer.scalars.get(name) ?? 0));
      best = Math.max(best, worst);
      if (worst >= ENOUGH) trainer.stop(`${names.join(' and ')} are above ${ENOUGH}`);
    },
  };
  const run = await prepareTraining({
    ...options,
    config,
    output: folder,
    train: four,
    validation: four,
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

/** The first pictures with objects, as a file of their own with the same categories. */
async function fewPictures({ json, images }: CocoFiles, path: string): Promise<CocoFiles> {
  const dataset = await readCocoDataset(json);
  const crowded = new Set(dataset.annotations.filter(({ iscrowd }) => iscrowd).map((a) => a.image_id));
  const withObjects = new Set(dataset.annotations.map((a) => a.image_id));
  const chosen = dataset.images.filter(({ id }) => withObjects.has(id) && !crowded.has(id)).slice(0, PICTURES);
  if (chosen.length === 0)
    throw new DatasetError(`${json}: no picture has objects (that are not crowds); there is nothing to learn.`);
  const ids = new Set(chosen.map(({ id }) => id));
  await writeCocoDataset(path, {
    ...dataset,
    images: chosen,
    annotations: dataset.annotations.filter((a) => ids.has(a.image_id)),
  });
  return { json: path, images };
}
