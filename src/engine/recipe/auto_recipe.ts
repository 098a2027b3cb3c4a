import type { Config } from '../../config/index.js';
import { setKey } from '../../config/merge.js';
import { anchorFit } from './anchor_fit.js';
import { type DatasetFacts, quantile } from './dataset_facts.js';
import { estimateMemory, gigabytes, MEMORY_SHARE, type WeightShape } from './memory_estimate.js';
import { ADAMW_RATE, rateForBatch } from './rates.js';

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
  /** Bytes that the process may use, and the model's weights; without it memory is not looked at. */
  readonly machine?: { readonly memory: number; readonly parameters: readonly WeightShape[] };
  /** Processes that learn together; 1 unless given. */
  readonly processes?: number;
}

/**
 * Chooses how to train from the size of a data set and of its objects: batch, rate, length, schedule, frozen stages, norms, input size, anchors
 * and augmentation. Sets the keys in the config, but for those given explicitly.
 * @returns what was set, and why; a key that was chosen twice, with its last reason
 */
export function applyAutoRecipe(cfg: Config, facts: DatasetFacts, conditions: RecipeConditions): Choice[] {
  const choices = new Map<string, Choice>();
  const choose = (key: string, value: unknown, why: string): void => {
    if (conditions.explicit.has(key)) return;
    setKey(cfg, key, value, 'the recipe', []);
    choices.set(key, { key, value, why });
  };
  backbone(facts, conditions, choose);
  norms(cfg, conditions, choose);
  inputSize(cfg, facts, choose);
  batch(cfg, facts, conditions, choose);
  rate(cfg, choose);
  length(cfg, facts, conditions, choose);
  anchors(cfg, facts, choose);
  sampling(facts, choose);
  return [...choices.values()];
}

type Choose = (key: string, value: unknown, why: string) => void;

/** Two pictures a step where they fit in memory, else one and the step of two; the input shrinks where that is not enough. */
function batch(cfg: Config, facts: DatasetFacts, { machine, explicit, processes = 1 }: RecipeConditions, choose: Choose): void {
  const fits = () => !machine || estimateMemory(cfg, facts, machine.parameters) <= MEMORY_SHARE * machine.memory;
  const needed = () => gigabytes(machine ? estimateMemory(cfg, facts, machine.parameters) : 0);
  const has = gigabytes(machine?.memory ?? 0);
  const two = Math.min(2, facts.pictures);
  if (processes > 1) choose('SOLVER.IMS_PER_BATCH', processes, `a picture a step for each of ${processes} processes`);
  else choose('SOLVER.IMS_PER_BATCH', two, 'two pictures a step fit into the memory of this machine');
  if (processes === 1 && !fits() && two > 1 && !explicit.has('SOLVER.IMS_PER_BATCH')) {
    const why = `two pictures a step would take about ${needed()}, and the machine has ${has}`;
    choose('SOLVER.IMS_PER_BATCH', 1, why);
    choose('SOLVER.ACCUMULATE', two, 'the gradients of two steps together make the step of two pictures');
  }
  if (explicit.has('INPUT.MIN_SIZE_TRAIN')) return;
  const why = `at ${Math.max(...cfg.INPUT.MIN_SIZE_TRAIN)} a step would take about ${needed()}, and the machine has ${has}`;
  let short = Math.max(...cfg.INPUT.MIN_SIZE_TRAIN);
  while (!fits() && short > SMALLEST_SHORT_SIDE) {
    short = Math.max(SMALLEST_SHORT_SIDE, short - 32);
    setSizes(cfg, short, why, choose);
  }
}

function rate({ SOLVER }: Config, choose: Choose): void {
  const pictures = SOLVER.IMS_PER_BATCH * SOLVER.ACCUMULATE;
  if (SOLVER.OPTIMIZER === 'ADAMW') {
    choose('SOLVER.BASE_LR', ADAMW_RATE, 'what AdamW takes with pretrained detectors, whatever the batch');
    choose('SOLVER.WEIGHT_DECAY', 0.05, "goes with that rate: AdamW's decay is multiplied by it");
  } else
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
  const total = explicit.has('SOLVER.MAX_ITER') ? SOLVER.MAX_ITER : iterations;
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

/** Channels that group norms take in groups of 32. */
const GROUPS = 32;

/** Frozen norms of random weights normalise nothing; with few pictures a step the statistics of a batch are no good either. */
function norms({ MODEL }: Config, { pretrained, explicit }: RecipeConditions, choose: Choose): void {
  const { RESNETS, FPN, BACKBONE } = MODEL;
  if (pretrained || RESNETS.NORM !== 'FrozenBN' || !/resnet/.test(BACKBONE.NAME) || explicit.has('MODEL.RESNETS.NORM')) return;
  const hasPyramid = /fpn/.test(BACKBONE.NAME);
  const widths = [
    RESNETS.STEM_OUT_CHANNELS,
    RESNETS.RES2_OUT_CHANNELS,
    ...(RESNETS.DEPTH < 50 ? [] : [RESNETS.NUM_GROUPS * RESNETS.WIDTH_PER_GROUP]),
    ...(hasPyramid ? [FPN.OUT_CHANNELS] : []),
  ];
  const odd = widths.find((width) => width % GROUPS !== 0);
  const norm = odd === undefined ? 'GN' : 'BN';
  const why =
    odd === undefined
      ? 'the weights are random, with which FrozenBN normalises nothing; group norms learn with few pictures a step, batch norms do not'
      : `the weights are random, with which FrozenBN normalises nothing; group norms need channels by ${GROUPS}, and there are ${odd}`;
  choose('MODEL.RESNETS.NORM', norm, why);
  if (hasPyramid && FPN.NORM === '') choose('MODEL.FPN.NORM', norm, 'as in the backbone');
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
  const why = `the median picture has ${picture}, and at that size nine of ten objects have about 24 pixels, or it is as large as is of use`;
  setSizes(cfg, short, why, choose);
}

/** The short side below which memory no longer shrinks the input. */
const SMALLEST_SHORT_SIDE = 256;

function setSizes(cfg: Config, short: number, why: string, choose: Choose): void {
  const jitter = [0.8, 0.84, 0.88, 0.92, 0.96, 1].map((factor) => Math.round((short * factor) / 8) * 8);
  choose('INPUT.MIN_SIZE_TRAIN', [...new Set(jitter)], why);
  choose('INPUT.MAX_SIZE_TRAIN', Math.round((short * 1333) / 800), 'as 1333 to 800');
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
