import { loadCheckpoint, tensorFor } from '../checkpoint/load.js';
import type { Checkpoint } from '../checkpoint/parse.js';
import { CheckpointError } from '../errors.js';
import type { ModelParameter } from '../layers/module.js';
import { initializeWeights } from '../layers/weight_init.js';
import { cocoClassNames } from '../model_zoo/coco_classes.js';
import type { Random } from '../data/random.js';

/** A part of a model that starts from random values, and why. */
export interface FreshPart {
  /** Such as `roi_heads.box_predictor.cls_score`. */
  readonly part: string;
  readonly why: string;
}

/** What a training starts from. */
export interface StartReport {
  /** Parameters that a file gave. */
  readonly loaded: number;
  readonly fresh: readonly FreshPart[];
}

/** Layers whose shape follows from the number of classes, or of keypoints. */
const CLASS_LAYERS =
  /^(roi_heads\.(box_predictor(\.\d+)?\.(cls_score|bbox_pred)|mask_head\.predictor|keypoint_head\.score_lowres)|head\.cls_score|sem_seg_head\.predictor)$/;

/**
 * Gives a model its first weights: all random without a checkpoint, as Detectron2 draws them; else those of the file, where the layers that
 * depend on the number of classes may have other shapes, and whole parts (a backbone alone) or whole layers outside of the bottom-up backbone (a
 * longer head) may be absent: these start at random, and are named.
 * @throws CheckpointError where the file fits neither way
 */
export function giveStartWeights(
  parameters: readonly ModelParameter[],
  checkpoint: Checkpoint | undefined,
  random: Random,
): StartReport {
  initializeWeights(parameters, () => random.next());
  if (!checkpoint) return { loaded: 0, fresh: [] };
  const fresh = new Map<string, string>();
  const parts = new Set(parameters.map(({ name }) => partOf(name)));
  const absent = new Set(
    [...parts].filter((part) => parameters.every(({ name }) => partOf(name) !== part || !tensorFor(name, checkpoint))),
  );
  if (absent.has('backbone.bottom_up'))
    throw new CheckpointError(
      `${checkpoint.source}: has no tensor of the backbone. Give weights of this architecture, or --weights none to start from nothing.`,
    );
  const layers = new Set(parameters.filter(({ name }) => tensorFor(name, checkpoint)).map(({ name }) => layerOf(name)));
  for (const { name, shape } of parameters) {
    const part = partOf(name);
    if (absent.has(part)) {
      fresh.set(part, 'is not in the file');
      continue;
    }
    const layer = layerOf(name);
    if (!layers.has(layer) && part !== 'backbone.bottom_up') {
      fresh.set(layer, 'is not in the file');
      continue;
    }
    const stored = tensorFor(name, checkpoint);
    if (!stored || fresh.has(layer) || !CLASS_LAYERS.test(layer)) continue;
    if (stored.shape.join() !== shape.join())
      fresh.set(
        layer,
        `has the shape [${stored.shape.join(', ')}] in the file and needs [${shape.join(', ')}] for this number of classes`,
      );
  }
  const report = loadCheckpoint(checkpoint, parameters, { reinitialise: [...fresh.keys()] });
  return { loaded: report.loaded.length, fresh: [...fresh].map(([part, why]) => ({ part, why })) };
}

/** Classes that are spelled out. */
const NAMED = 3;

/**
 * What is to be said where the heads keep weights of other classes: as many, but with other names or in another order.
 * @param classNames of the annotations
 * @returns nothing where the names agree, are not known, or the heads start at random anyway
 */
export function otherClasses(
  { metadata }: Pick<Checkpoint, 'metadata'>,
  classNames: readonly string[],
  fresh: readonly FreshPart[],
): string | undefined {
  const stored =
    metadata.class_names === undefined
      ? classNames.length === cocoClassNames.length
        ? cocoClassNames
        : undefined
      : (JSON.parse(metadata.class_names) as string[]);
  if (stored?.length !== classNames.length || fresh.some(({ part }) => /^roi_heads|^head\b/.test(part))) return undefined;
  const differ = classNames.flatMap((name, i) => (name === stored[i] ? [] : [`${stored[i]} is ${name} here`]));
  if (differ.length === 0) return undefined;
  const more = differ.length > NAMED ? ` and ${differ.length - NAMED} more` : '';
  return (
    `the weights are of other classes, though of as many (${differ.slice(0, NAMED).join(', ')}${more}): the heads keep what they learnt, class by class in ` +
    'this order. Where that is not meant, start from a backbone alone, such as ImageNetPretrained/MSRA/R-50'
  );
}

function layerOf(name: string): string {
  return name.split('.').slice(0, -1).join('.');
}

/** The part of the model that a parameter belongs to: `backbone.bottom_up`, `backbone.fpn`, `proposal_generator`, `roi_heads.box_head`, ... */
function partOf(name: string): string {
  const [first, second] = name.split('.');
  if (first === 'backbone') return second === 'bottom_up' ? 'backbone.bottom_up' : 'backbone.fpn';
  return first === 'roi_heads' ? `${first}.${second}` : first;
}
