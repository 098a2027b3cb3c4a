import type { Config } from '../../config/index.js';
import type { Image } from '../../data/image_io/pixel_formats.js';
import type { ModelParameter } from '../../layers/module.js';
import { anchorFit } from './anchor_fit.js';
import { type DatasetFacts, inputScale, quantile } from './dataset_facts.js';
import { estimateMemory, gigabytes, MEMORY_SHARE } from './memory_estimate.js';
import { ADAMW_RATE, rateForBatch } from './rates.js';

/** What is about to be trained on what. */
export interface PreflightInput {
  readonly config: Config;
  readonly facts: DatasetFacts;
  readonly parameters: readonly ModelParameter[];
  /** Whether weights come from a file. */
  readonly pretrained: boolean;
  /** One picture, RGB. */
  readonly picture: Image;
  /** Bytes that the machine has. */
  readonly memory: number;
}

/** What the checks found: facts, and what is likely to go wrong with what to do. */
export interface Preflight {
  readonly facts: readonly string[];
  readonly warnings: readonly string[];
}

/** The checks before the first step: what makes a training predict nothing, diverge or run out of memory, seen in a second. */
export function preflight(input: PreflightInput): Preflight {
  const parts = [
    classes(input),
    sizes(input),
    anchors(input),
    heads(input),
    pixels(input),
    memory(input),
    rate(input),
    weights(input),
  ];
  return { facts: parts.flatMap((p) => p.facts ?? []), warnings: parts.flatMap((p) => p.warnings ?? []) };
}

type Part = Partial<Preflight>;

function classes({ facts }: PreflightInput): Part {
  const { classNames, counts, pictures, withoutObjects } = facts;
  const list = classNames.map((name, i) => `${name} ${counts[i]}`).join(', ');
  const warnings: string[] = [];
  const none = classNames.filter((_, i) => counts[i] === 0);
  if (none.length > 0)
    warnings.push(`no object of ${none.join(', ')}: it cannot be learnt. Take the category out of the file, or label some.`);
  const few = classNames.filter((_, i) => counts[i] > 0 && counts[i] < 10);
  if (few.length > 0) warnings.push(`fewer than 10 objects of ${few.join(', ')}: expect little of it; 50 and more are a start.`);
  return {
    facts: [`pictures: ${pictures}, of these ${withoutObjects} without objects`, `objects: ${facts.objects.length} (${list})`],
    warnings,
  };
}

function sizes({ config, facts }: PreflightInput): Part {
  const { MIN_SIZE_TRAIN, MAX_SIZE_TRAIN } = config.INPUT;
  const short = MIN_SIZE_TRAIN[MIN_SIZE_TRAIN.length >> 1];
  const scales = facts.sizes.map((size) => inputScale(size, short, MAX_SIZE_TRAIN));
  const sides = facts.objects.map(
    ({ height, width, picture }) => Math.sqrt(height * width) * inputScale(picture, short, MAX_SIZE_TRAIN),
  );
  const at = [0.05, 0.5, 0.95].map((share) => quantile(sides, share));
  const enlarged = quantile(scales, 0.5);
  const warnings: string[] = [];
  if (at[0] < 8)
    warnings.push(
      `a twentieth of the objects is below ${Math.ceil(at[0])} pixels at the network's input: they will be missed. Raise INPUT.MIN_SIZE_TRAIN and MIN_SIZE_TEST, or cut the pictures into tiles.`,
    );
  return {
    facts: [
      `pictures are scaled by ${enlarged.toFixed(2)} (median) to a short side of ${short}; objects are then ${at.map((v) => v.toFixed(0)).join(', ')} pixels large (5 %, median, 95 %)`,
    ],
    warnings,
  };
}

function anchors({ config, facts }: PreflightInput): Part {
  if (facts.objects.length === 0) return {};
  const { covered, better } = anchorFit(config, facts);
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  const sizesText = JSON.stringify(config.MODEL.ANCHOR_GENERATOR.SIZES);
  const warnings =
    covered < 0.8 && better
      ? [
          `anchors of the sizes ${sizesText} fit ${percent(covered)} of the objects; MODEL.ANCHOR_GENERATOR.SIZES=${JSON.stringify(better.sizes)} would fit ${percent(better.covered)}.`,
        ]
      : [];
  return { facts: [`anchors ${sizesText} fit ${percent(covered)} of the objects (IoU 0.5 by shape)`], warnings };
}

function heads({ parameters, facts }: PreflightInput): Part {
  const shapes = parameters
    .filter(({ name }) => /(cls_score|bbox_pred|mask_head\.predictor)\.weight$/.test(name))
    .map(({ name, shape }) => `${name.replace(/^roi_heads\./, '').replace(/\.weight$/, '')} [${shape.join(', ')}]`);
  const trained = parameters.filter((p) => p.trainable).length;
  return {
    facts: [
      `heads for ${facts.classNames.length} classes: ${shapes.join(', ')}; ${trained} of ${parameters.length} tensors train`,
    ],
  };
}

function pixels({ config, picture }: PreflightInput): Part {
  const { PIXEL_MEAN, PIXEL_STD } = config.MODEL;
  const order = config.INPUT.FORMAT === 'RGB' ? [0, 1, 2] : [2, 1, 0];
  const means = order.map((channel, i) => {
    let sum = 0;
    for (let at = channel; at < picture.data.length; at += 3) sum += picture.data[at];
    return (sum / (picture.data.length / 3) - PIXEL_MEAN[i]) / PIXEL_STD[i];
  });
  const range = [
    Math.min(...PIXEL_MEAN.map((m, i) => -m / PIXEL_STD[i])),
    Math.max(...PIXEL_MEAN.map((m, i) => (255 - m) / PIXEL_STD[i])),
  ];
  const warnings: string[] = [];
  if (range[1] - range[0] < 1 || range[1] - range[0] > 1000)
    warnings.push(
      `pixels reach the network between ${range.map((v) => v.toFixed(2)).join(' and ')}: MODEL.PIXEL_MEAN and PIXEL_STD are for pixels of 0..255.`,
    );
  return {
    facts: [
      `pixels: ${config.INPUT.FORMAT}, normalised to ${range.map((v) => v.toFixed(1)).join('..')}; the first picture's means are ${means.map((v) => v.toFixed(2)).join(', ')}`,
    ],
    warnings,
  };
}

function memory({ config, facts, parameters, memory: available }: PreflightInput): Part {
  const needed = estimateMemory(config, facts, parameters);
  return {
    facts: [`memory: about ${gigabytes(needed)} a step (within a factor of two); the machine has ${gigabytes(available)}`],
    warnings:
      needed > MEMORY_SHARE * available
        ? [
            `a step may not fit in memory. Halve SOLVER.IMS_PER_BATCH (${config.SOLVER.IMS_PER_BATCH}) and double SOLVER.ACCUMULATE (${config.SOLVER.ACCUMULATE}), or lower INPUT.MIN_SIZE_TRAIN.`,
          ]
        : [],
  };
}

function rate({ config: { SOLVER } }: PreflightInput): Part {
  const batch = SOLVER.IMS_PER_BATCH * SOLVER.ACCUMULATE;
  const fitting = rateForBatch(batch);
  const text = `learning rate ${SOLVER.BASE_LR} for ${batch} pictures a step, ${SOLVER.MAX_ITER} steps, warm-up ${SOLVER.WARMUP_ITERS}`;
  if (SOLVER.OPTIMIZER === 'SGD' && SOLVER.BASE_LR > 2.01 * fitting)
    return {
      facts: [text],
      warnings: [
        `SOLVER.BASE_LR ${SOLVER.BASE_LR} is high for ${batch} pictures a step: ${Number(fitting.toPrecision(3))} goes with them (0.02 with 16, linear). Expect NaN otherwise.`,
      ],
    };
  if (SOLVER.OPTIMIZER === 'ADAMW' && SOLVER.BASE_LR > 10 * ADAMW_RATE)
    return {
      facts: [text],
      warnings: [
        `SOLVER.BASE_LR ${SOLVER.BASE_LR} is a rate for SGD: AdamW moves every weight by about that much a step. ${ADAMW_RATE} goes with pretrained detectors, and up to ${10 * ADAMW_RATE} with random weights.`,
      ],
    };
  return { facts: [text] };
}

function weights({ config: { MODEL }, pretrained }: PreflightInput): Part {
  if (pretrained) return {};
  const warnings: string[] = [];
  if (MODEL.BACKBONE.FREEZE_AT > 0)
    warnings.push(
      `weights are random, and MODEL.BACKBONE.FREEZE_AT=${MODEL.BACKBONE.FREEZE_AT} keeps the first stages so. Set it to 0.`,
    );
  if (MODEL.RESNETS.NORM === 'FrozenBN')
    warnings.push(
      'weights are random, and MODEL.RESNETS.NORM=FrozenBN normalises nothing then. Set RESNETS.NORM=GN and FPN.NORM=GN.',
    );
  return { warnings };
}
