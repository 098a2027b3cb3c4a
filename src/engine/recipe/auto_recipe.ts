import type { Config } from '../../config/index.js';
import { setKey } from '../../config/merge.js';
import { anchorFit } from './anchor_fit.js';
import { type DatasetFacts, quantile } from './dataset_facts.js';
import { rateForBatch } from './preflight.js';

/** One key that a recipe chose. */
export interface Choice {
  readonly key: string;
  readonly value: unknown;
  readonly why: string;
}

/** What a recipe depends on besides config and data. */
export interface RecipeConditions {
  /** Whether weights come from a file. */
  readonly pretrained: boolean;
  /** Whether there is a set to evaluate on. */
  readonly evaluated: boolean;
  /** Passes over the pictures, where someone gave them. */
  readonly epochs?: number;
  /** Keys that someone gave: they stay. */
  readonly explicit: ReadonlySet<string>;
  /** Processes that learn together; 1 unless given. */
  readonly processes?: number;
}

/**
 * Chooses how to train from the size of a data set and of its objects: batch, rate, length, schedule, frozen stages, input size, anchors and
 * augmentation. Sets the keys in the config, but for those given explicitly.
 * @returns what was set, and why, in the order of a reader's interest
 */
export function applyAutoRecipe(cfg: Config, facts: DatasetFacts, conditions: RecipeConditions): Choice[] {
  const choices: Choice[] = [];
  const choose = (key: string, value: unknown, why: string): void => {
    if (conditions.explicit.has(key)) return;
    setKey(cfg, key, value, 'the recipe', []);
    choices.push({ key, value, why });
  };
  batch(facts, conditions, choose);
  rate(cfg, choose);
  length(cfg, facts, conditions, choose);
  backbone(facts, conditions, choose);
  inputSize(cfg, facts, choose);
  anchors(cfg, facts, choose);
  sampling(facts, choose);
  return choices;
}

type Choose = (key: string, value: unknown, why: string) => void;

function batch({ pictures }: DatasetFacts, { processes = 1 }: RecipeConditions, choose: Choose): void {
  if (processes > 1) return choose('SOLVER.IMS_PER_BATCH', processes, `a picture a step for each of ${processes} processes`);
  choose('SOLVER.IMS_PER_BATCH', Math.min(2, pictures), 'two pictures a step fit into the memory of most machines');
}

function rate({ SOLVER }: Config, choose: Choose): void {
  const pictures = SOLVER.IMS_PER_BATCH * SOLVER.ACCUMULATE;
  choose(
    'SOLVER.BASE_LR',
    Number(rateForBatch(pictures).toPrecision(6)),
    `0.02 goes with 16 pictures a step; there are ${pictures}`,
  );
  choose('SOLVER.CLIP_GRADIENTS.ENABLED', true, 'a rare picture cannot throw the weights off');
  choose('SOLVER.CLIP_GRADIENTS.CLIP_TYPE', 'full_model', 'the direction of the step stays');
  choose('SOLVER.CLIP_GRADIENTS.CLIP_VALUE', 35, 'well above the norm of usual steps');
}

function length(cfg: Config, { pictures }: DatasetFacts, conditions: RecipeConditions, choose: Choose): void {
  const { pretrained, evaluated, epochs, explicit } = conditions;
  const { SOLVER } = cfg;
  const perStep = SOLVER.IMS_PER_BATCH * SOLVER.ACCUMULATE;
  const seen =
    epochs === undefined ? Math.min(Math.max(pretrained ? 20 * pictures : 60 * pictures, 2000), 1_440_000) : epochs * pictures;
  const iterations = Math.max(1, Math.round(seen / perStep));
  const why =
    epochs !== undefined
      ? `${epochs} passes over ${pictures} pictures, ${perStep} a step`
      : `${(seen / pictures).toFixed(0)} passes over ${pictures} pictures${pretrained ? '' : ', more from random weights'}; at least 2000 pictures in all`;
  choose('SOLVER.MAX_ITER', iterations, why);
  const total = explicit.has('SOLVER.MAX_ITER') && epochs === undefined ? SOLVER.MAX_ITER : iterations;
  choose(
    'SOLVER.STEPS',
    [Math.round((total * 2) / 3), Math.round((total * 8) / 9)],
    'the rate falls by 10 at two thirds and at eight ninths',
  );
  choose('SOLVER.WARMUP_ITERS', Math.min(1000, Math.max(1, Math.floor(total / 10))), 'a tenth of the run, at most 1000 steps');
  const period = Math.max(1, Math.ceil(total / 10));
  choose('SOLVER.CHECKPOINT_PERIOD', Math.min(period, 1000), 'ten in a run, and none further apart than 1000 steps');
  if (evaluated) choose('TEST.EVAL_PERIOD', period, 'ten evaluations');
}

function backbone({ pictures }: DatasetFacts, { pretrained }: RecipeConditions, choose: Choose): void {
  if (!pretrained) return choose('MODEL.BACKBONE.FREEZE_AT', 0, 'random weights must all train');
  if (pictures < 300) choose('MODEL.BACKBONE.FREEZE_AT', 3, `${pictures} pictures are few: stem, res2 and res3 stay as they are`);
  else choose('MODEL.BACKBONE.FREEZE_AT', 2, 'stem and res2 are of use as they are');
}

function inputSize(cfg: Config, { sizes, objects }: DatasetFacts, choose: Choose): void {
  const shortSides = sizes.map((size) => Math.min(...size));
  const picture = quantile(shortSides, 0.5);
  // The short side at which a small object has 24 pixels: enough for a mask.
  const needed = quantile(
    objects.map(({ height, width, picture: size }) => (24 * Math.min(...size)) / Math.max(1, Math.sqrt(height * width))),
    0.9,
  );
  const wanted = Math.min(Math.max(needed, Math.min(picture, 480)), 1.5 * picture, 800);
  const short = Math.max(64, Math.round(wanted / 32) * 32);
  const long = Math.round((short * 1333) / 800);
  const why = `the median picture has ${picture}, and at that size nine of ten objects have about 24 pixels, or it is as large as is of use`;
  const jitter = [0.8, 0.84, 0.88, 0.92, 0.96, 1].map((factor) => Math.round((short * factor) / 8) * 8);
  choose('INPUT.MIN_SIZE_TRAIN', [...new Set(jitter)], why);
  choose('INPUT.MAX_SIZE_TRAIN', long, 'as 1333 to 800');
  const test = Math.max(...cfg.INPUT.MIN_SIZE_TRAIN);
  choose('INPUT.MIN_SIZE_TEST', test, 'the largest size of training');
  choose('INPUT.MAX_SIZE_TEST', cfg.INPUT.MAX_SIZE_TRAIN, 'as in training');
}

function anchors(cfg: Config, facts: DatasetFacts, choose: Choose): void {
  const { covered, better } = anchorFit(cfg, facts);
  if (covered < 0.8 && better)
    choose(
      'MODEL.ANCHOR_GENERATOR.SIZES',
      better.sizes,
      `${(100 * better.covered).toFixed(0)} % of the objects fit these, ${(100 * covered).toFixed(0)} % fitted the config's`,
    );
}

function sampling({ classNames, counts, withoutObjects }: DatasetFacts, choose: Choose): void {
  const sided = classNames.filter((name) => /\b(left|right)\b/i.test(name));
  if (sided.length > 0) choose('INPUT.RANDOM_FLIP', 'none', `flipping would swap the meaning of ${sided.join(', ')}`);
  else choose('INPUT.RANDOM_FLIP', 'horizontal', 'a mirrored picture is as good a picture');
  const present = counts.filter((count) => count > 0);
  const imbalance = Math.max(...present) / Math.min(...present);
  if (present.length > 1 && imbalance > 20) {
    choose(
      'DATALOADER.SAMPLER_TRAIN',
      'RepeatFactorTrainingSampler',
      `the most frequent class has ${imbalance.toFixed(0)} times the objects of the rarest`,
    );
    choose('DATALOADER.REPEAT_THRESHOLD', 0.1, 'pictures of classes in less than a tenth of the pictures come more often');
  }
  if (withoutObjects > 0)
    choose('DATALOADER.FILTER_EMPTY_ANNOTATIONS', false, `${withoutObjects} pictures without objects teach what is none`);
}
