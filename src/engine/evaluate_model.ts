import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { readImage } from '../data/image_io/read_image.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import { InferenceSampler } from '../data/samplers/sampler.js';
import type { Communicator } from '../distributed/communicator.js';
import type { Config } from '../config/index.js';
import { proposalMetricNames, proposalPercentages } from '../evaluation/box_proposals.js';
import { CocoEvaluator, metricNames } from '../evaluation/coco_evaluator.js';
import type { IouType } from '../evaluation/evaluation_parameters.js';
import {
  type PixelClasses,
  type PixelCounts,
  PixelEvaluator,
  pixelPercentages,
  type PixelTruth,
} from '../evaluation/pixel_evaluator.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { postprocess } from '../meta_arch/postprocess.js';
import { semanticNames } from '../semantic/semantic_names.js';
import { instancesOf } from '../structures/detected_instances.js';
import { Prediction } from '../structures/prediction.js';
import { findsProposals, PROPOSAL_NAMES } from './box_proposals.js';
import { pixelResults } from './pixel_results.js';
import { type BatchPredictor, categoriesOfClasses, predictDataset } from './predict_dataset.js';
import { networkInput } from './network_input.js';
import type { AboutModel } from './training_checkpoint.js';

/** Detects objects in one RGB picture with a model that is still being trained (not folded). */
export async function detect(
  model: MetaArchitecture,
  image: Image,
  { config, classNames, keypointNames, semanticClassNames }: EvaluatedModel,
): Promise<Prediction> {
  const input = networkInput(image, config);
  const { instances, semantic, times } = await model.infer([input], { outputSizes: [[image.height, image.width]] });
  const found = postprocess(instances[0], [input.height, input.width], [image.height, image.width], config.MODEL.CONVENTIONS);
  const names = findsProposals(config) ? PROPOSAL_NAMES : classNames;
  const objects = instancesOf(found, image, names, config.MODEL.CONVENTIONS, keypointNames);
  const pixels = pixelResults(semantic?.[0], objects, config, semanticClassNames);
  return new Prediction(objects, image, { decode: 0, resize: 0, ...times }, pixels);
}

/** What a model that is evaluated must say of itself. */
export type EvaluatedModel = Pick<AboutModel, 'config' | 'classNames' | 'keypointNames' | 'semanticClassNames'>;

/** Options of {@link evaluateModel}. */
export interface EvaluateModelOptions {
  /** Ends it between pictures with the signal's reason; not where several processes share the work. */
  readonly signal?: AbortSignal;
  /** The processes that share the pictures; all call this with the same model. */
  readonly processes?: Communicator;
  /** What the panoptic and semantic maps of a model that makes them are judged by. */
  readonly pixels?: PixelTruth;
  /** Told after every picture; of several processes each counts its own. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Percentages by task and metric (`bbox/AP`, `segm/AP50`, `segm/AP-cat`, `panoptic_seg/PQ`, `sem_seg/mIoU`, `box_proposals/AR@1000`) of a model on a COCO data set. As in Detectron2, NaN stands for what
 * the data set has no objects of, and for everything where the model finds nothing at all.
 * Where several processes hold the same model each looks at its part of the pictures; all get the same percentages.
 */
export async function evaluateModel(
  model: MetaArchitecture,
  dataset: CocoDataset,
  images: string,
  about: EvaluatedModel,
  { signal, processes, pixels: truth, onProgress }: EvaluateModelOptions = {},
): Promise<Record<string, number>> {
  const { MODEL, TEST } = about.config;
  const { META_ARCHITECTURE: kind } = MODEL;
  const tasks = tasksOf(MODEL);
  const pixels =
    truth && hasPixels(kind) ? await PixelEvaluator.open(truth, pixelClasses(about), categoriesOfClasses) : undefined;
  const progress = onProgress ? { onProgress } : {};
  const counts: PixelCounts[] = [];
  const onPrediction = async (image: CocoDataset['images'][number], prediction: Prediction) => {
    const found = await pixels?.add(image, prediction.pixels);
    if (found && processes) counts.push(found.counts);
  };
  const predictor: BatchPredictor = {
    classNames: about.classNames,
    config: about.config,
    predict: (files) => Promise.all(files.map(async (file) => detect(model, await readImage(file, { format: 'RGB' }), about))),
  };
  const percentages = (found: readonly CocoResult[]): Record<string, number> => ({
    ...(findsProposals(about.config) ? named('box_proposals', proposalPercentages(dataset, found)) : objects(found)),
    ...(pixels ? pixelPercentages(pixels.evaluate()) : {}),
  });
  const objects = (found: readonly CocoResult[]): Record<string, number> => {
    const sigmas = TEST.KEYPOINT_OKS_SIGMAS;
    const evaluator = new CocoEvaluator(dataset, tasks, sigmas.length > 0 ? { keypointSigmas: sigmas } : {});
    evaluator.add(found);
    return percentagesOf(evaluator);
  };
  if (processes && processes.size > 1) {
    // No process may give up alone: the others would wait for it.
    const found = await predictDataset(predictor, partOf(dataset, processes), images, { onPrediction, ...progress });
    const parts = processes.gatherToFirst(encode({ found, counts }));
    if (processes.rank > 0) return decode(processes.broadcast(new Uint8Array(0))) as Record<string, number>;
    const all: CocoResult[] = [];
    for (const [rank, bytes] of parts.entries()) {
      const part = decode(bytes) as { found: CocoResult[]; counts: PixelCounts[] };
      for (const row of part.found) all.push(row);
      // One picture after the other, as one process sums them.
      if (rank > 0) for (const picture of part.counts) pixels?.count(picture);
    }
    const numbers = percentages(all);
    processes.broadcast(encode(numbers));
    return numbers;
  }
  return percentages(
    await predictDataset(predictor, dataset, images, { onPrediction, ...progress, ...(signal ? { signal } : {}) }),
  );
}

/** What the first process measures, for all: the others wait. */
export async function numbersOfFirst(
  processes: Communicator | undefined,
  measure: () => Promise<Record<string, number>>,
): Promise<Record<string, number>> {
  if (!processes || processes.size === 1) return measure();
  const bytes = processes.broadcast(processes.rank === 0 ? encode(await measure()) : new Uint8Array(0));
  return decode(bytes) as Record<string, number>;
}

/** The names of the numbers that `evaluateModel` gives for a model on a data set where it finds something. */
export function evaluationNames(about: EvaluatedModel, categories: CocoDataset['categories'], truth?: PixelTruth): string[] {
  const { MODEL } = about.config;
  const named = (task: string, names: readonly string[]) => names.map((name) => `${task}/${name}`);
  if (findsProposals(about.config)) return named('box_proposals', proposalMetricNames());
  const objects = tasksOf(MODEL).flatMap((task) => named(task, metricNames(task, categories)));
  if (!(truth?.panoptic || truth?.semantic) || !hasPixels(MODEL.META_ARCHITECTURE)) return objects;
  const quality = ['PQ', 'SQ', 'RQ'].flatMap((name) => [name, `${name}_th`, `${name}_st`]);
  const classes = pixelClasses(about).semanticClassNames.flatMap((name) => [`IoU-${name}`, `ACC-${name}`]);
  return [
    ...objects,
    ...(truth.panoptic && MODEL.META_ARCHITECTURE === 'PanopticFPN' ? named('panoptic_seg', quality) : []),
    ...named('sem_seg', ['mIoU', 'fwIoU', 'mACC', 'pACC', ...classes]),
  ];
}

function tasksOf({ META_ARCHITECTURE, MASK_ON, KEYPOINT_ON }: Config['MODEL']): IouType[] {
  if (META_ARCHITECTURE === 'SemanticSegmentor') return [];
  return ['bbox', ...(MASK_ON ? ['segm' as const] : []), ...(KEYPOINT_ON ? ['keypoints' as const] : [])];
}

/** This process's pictures, neighbours by id, so that the parts one after another are in the order of the whole. */
function partOf(dataset: CocoDataset, { rank, size }: Communicator): CocoDataset {
  const all = [...dataset.images].sort((a, b) => a.id - b.id);
  const own = new InferenceSampler(all.length, rank, size).epoch(0);
  return { ...dataset, images: Array.from(own, (i) => all[i]) };
}

/** JSON has no NaN; null stands for it. */
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const decode = (bytes: Uint8Array): unknown =>
  JSON.parse(new TextDecoder().decode(bytes), (_, value: unknown) => (value === null ? NaN : value));

/** Whether a model of this kind says something of every pixel. */
export function hasPixels(kind: string): boolean {
  return kind === 'PanopticFPN' || kind === 'SemanticSegmentor';
}

function pixelClasses({ config, classNames, semanticClassNames }: EvaluatedModel): PixelClasses {
  const { META_ARCHITECTURE, SEM_SEG_HEAD } = config.MODEL;
  return {
    classNames: META_ARCHITECTURE === 'SemanticSegmentor' ? [] : classNames,
    semanticClassNames: semanticClassNames ?? semanticNames(SEM_SEG_HEAD.NUM_CLASSES),
  };
}

function percentagesOf(evaluator: CocoEvaluator): Record<string, number> {
  const { results } = evaluator.evaluate();
  return Object.assign({}, ...Object.entries(results).map(([task, values]) => named(task, values))) as Record<string, number>;
}

/** The numbers of a task with its name before theirs. */
function named(task: string, values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${task}/${name}`, value]));
}
