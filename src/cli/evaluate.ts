import type { Command } from 'commander';
import { join } from 'node:path';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { findsProposals } from '../engine/box_proposals.js';
import { ArgumentError } from '../errors.js';
import type { Predictor } from '../engine/predictor.js';
import type { PixelTruth } from '../evaluation/pixel_evaluator.js';
import type { JudgedPixels } from './judge.js';
import { fraction, positiveInteger } from './numbers.js';
import { resultsFile } from './results_file.js';

interface EvaluateFlags {
  results?: string;
  model?: string;
  config?: string;
  weights?: string;
  jsonFile?: string;
  panopticJson?: string;
  panopticImages?: string;
  semantic?: string;
  images?: string;
  output?: string;
  device: string;
  limit?: number;
  tta?: boolean;
  ttaSizes?: string;
  batch: number;
  offline?: boolean;
  shard?: string;
  score: number;
  iou: number;
  proposals?: boolean;
  json?: boolean;
}

interface Judged {
  /** Objects to compare with. */
  dataset?: CocoDataset;
  results: CocoResult[];
  /** The results are regions of no class. */
  proposals?: boolean;
  keypointSigmas?: readonly number[];
  pixels?: JudgedPixels;
}

/** `maskrcnn evaluate`: judges a model, or a COCO results file, against an annotation file. */
export function register(program: Command): void {
  program
    .command('evaluate')
    .description('compare a model, or a COCO results file, with a COCO annotation file')
    .argument('[overrides...]', "KEY=VALUE over the model's configuration")
    .option('--results <file>', 'COCO results JSON: a list of detections; a panoptic JSON, or a folder of semantic maps')
    .option('--model <name|folder>', 'a model of the zoo, or a folder with config.yaml and one weight file')
    .option('--config <file>', 'a Detectron2 config or a name of the zoo, with --weights')
    .option(
      '--weights <file>',
      "a weight file (.pkl, .pth, .safetensors), with --config; torchvision's .pth and Matterport's .h5 without",
    )
    .option('--json-file <file>', 'COCO annotation JSON')
    .option('--panoptic-json <file>', 'COCO panoptic annotation JSON: panoptic quality, and IoU of the classes of pixels')
    .option('--panoptic-images <folder>', "its PNGs (default: the file's name without .json)")
    .option(
      '--semantic <folder>',
      'semantic maps, NAME.png with the class of each pixel for NAME.jpg: IoU of the classes of pixels',
    )
    .option(
      '--images <folder>',
      'the folder of the pictures: needed with a model; with --results for the pictures in evaluation.html',
    )
    .option(
      '--output <folder>',
      'write evaluation.json, evaluation.txt and evaluation.html here; with a model coco_instances_results.json (of region proposals box_proposals.json) and panoptic_results.json too',
    )
    .option('--device <name>', 'auto, tensorflow, wasm or cpu', 'auto')
    .option('--limit <number>', 'with a model: only the first pictures, by ascending id', positiveInteger)
    .option('--batch <number>', 'with a model: pictures that are computed together', positiveInteger, 1)
    .option(
      '--shard <i/n>',
      'with a model: only this share of the pictures, counted from 0, or auto (Slurm, Kubernetes, MPI); maskrcnn merge joins',
    )
    .option('--tta', 'with a model: several sizes of each picture and their mirror images (TEST.AUG of the config)')
    .option('--tta-sizes <pixels,...>', "with --tta: the short sides (default: the config's TEST.AUG.MIN_SIZES)")
    .option('--offline', 'never go to the network')
    .option('--score <number>', 'score from which detections count for precision, recall, F1 and confusion', fraction, 0.5)
    .option('--iou <number>', 'overlap from which a detection is right, for the same', fraction, 0.5)
    .option(
      '--proposals',
      'with --results: its boxes are regions of no class, judged by their recall, as those of a model of region proposals are',
    )
    .option('--json', 'print JSON')
    .action(async (overrides: string[], flags: EvaluateFlags) => {
      if (flags.shard === undefined) {
        const { refuseCopies } = await import('../sharding/shard.js');
        refuseCopies('evaluate', process.env);
        const judged = await (flags.results === undefined ? evaluateModel(flags, overrides) : evaluateResults(flags, overrides));
        const { showJudgement, showPixels, showProposals } = await import('./judge.js');
        const { dataset, results, proposals, keypointSigmas, pixels } = judged;
        if (dataset && proposals) await showProposals(dataset, results, flags);
        else if (dataset) await showJudgement(dataset, results, { ...flags, keypointSigmas }, pixels);
        else await showPixels(pixels!, flags);
      } else await evaluateShard(flags, overrides, flags.shard);
    });
}

async function evaluateResults(flags: EvaluateFlags, overrides: readonly string[]): Promise<Judged> {
  const ofModels = (['model', 'config', 'weights', 'limit'] as const).find((name) => flags[name] !== undefined);
  if (ofModels !== undefined || overrides.length > 0)
    throw new ArgumentError(`--results is a file that is evaluated without a model; leave out ${ofModels ? `--${ofModels}` : overrides[0]}.`); // prettier-ignore
  const { pixelTruth, judgePixelFiles } = await import('./evaluate_pixels.js');
  const truth = pixelTruth(flags);
  if (truth) {
    if (flags.jsonFile !== undefined)
      throw new ArgumentError(
        '--results is one file: judge detections with --json-file, maps with --panoptic-json or --semantic.',
      );
    const { progressLine } = await import('./progress_line.js');
    const line = await progressLine('evaluating', 'pictures');
    try {
      return { results: [], pixels: await judgePixelFiles(flags.results!, truth, (done, total) => line.update(done, total)) };
    } finally {
      line.stop();
    }
  }
  const { readAnnotations, readResults } = await import('./read_annotations.js');
  const dataset = await readAnnotations(annotationsFile(flags));
  const results = await readResults(flags.results!);
  return { dataset, results, proposals: flags.proposals ?? false };
}

async function evaluateModel(flags: EvaluateFlags, overrides: readonly string[]): Promise<Judged> {
  if (flags.proposals)
    throw new ArgumentError('--proposals says what --results holds; how a model is judged follows from what it finds.');
  const images = imagesFolder(flags);
  const { firstImages } = await import('../data/coco/first_images.js');
  const { truth, named } = await readTruth(flags);
  const dataset = firstImages(named, flags.limit);
  const { results, proposals, keypointSigmas, pixels, objects } = await predictAll(dataset, flags, images, overrides, truth);
  if (!objects) return { results, pixels: pixels! };
  if (flags.output !== undefined) {
    const { writeCocoResults } = await import('../data/coco/write_coco.js');
    await writeCocoResults(join(flags.output, resultsFile(proposals)), results);
  }
  return { dataset, results, proposals, keypointSigmas, ...(pixels ? { pixels } : {}) };
}

/** What pixels are judged by, and the pictures: those of the annotation file, or of the panoptic one. */
async function readTruth(flags: EvaluateFlags): Promise<{ truth: PixelTruth | undefined; named: CocoDataset }> {
  const [{ readAnnotations }, { pixelTruth, panopticImages }] = await Promise.all([
    import('./read_annotations.js'),
    import('./evaluate_pixels.js'),
  ]);
  const truth = pixelTruth(flags);
  const named =
    truth?.panoptic && flags.jsonFile === undefined
      ? await panopticImages(truth.panoptic.json)
      : await readAnnotations(annotationsFile(flags));
  return { truth, named };
}

/** The shard's own detections, as a part for `maskrcnn merge`. */
async function evaluateShard(flags: EvaluateFlags, overrides: readonly string[], text: string): Promise<void> {
  if (flags.results !== undefined)
    throw new ArgumentError('--shard divides the pictures among processes; --results has them done already.');
  if (flags.output === undefined)
    throw new ArgumentError('A shard leaves its part in a folder that all shards share: give it with --output.');
  const images = imagesFolder(flags);
  const [{ parseShard }, { writeEvaluationPart }, { PixelJudge }, { augmentationOverrides, loadPredictor }, { progressLine }] =
    await Promise.all([
      import('../sharding/shard.js'),
      import('../sharding/evaluation_part.js'),
      import('./evaluate_pixels.js'),
      import('./load_predictor.js'),
      import('./progress_line.js'),
    ]);
  const shard = parseShard(text, process.env);
  const { truth, named } = await readTruth(flags);
  const predictor = await loadPredictor(flags, { overrides: [...overrides, ...augmentationOverrides(flags)] });
  const line = await progressLine(`shard ${shard.index} of ${shard.count} on ${predictor.device}`, 'pictures');
  try {
    const judge = truth && (await PixelJudge.open(truth, predictor, flags.output));
    const objects = judgesObjects(flags, predictor, judge !== undefined);
    const done = await writeEvaluationPart(predictor, named, images, {
      folder: flags.output,
      shard,
      batchSize: flags.batch,
      objects,
      ...(flags.limit === undefined ? {} : { limit: flags.limit }),
      ...(judge ? { pixels: { classes: judge.classes, judge: (image, found) => judge.add(image, found) } } : {}),
      lock: { notice: (text) => console.error(text) },
      onProgress: (count, total) => line.update(count, total),
    });
    line.stop();
    const { shardSummary } = await import('./shard_summary.js');
    process.stdout.write(shardSummary(shard, done, flags));
  } finally {
    line.stop();
    predictor.dispose();
  }
}

function annotationsFile({ jsonFile }: EvaluateFlags): string {
  if (jsonFile === undefined) throw new ArgumentError('Nothing to compare with: give the annotations with --json-file.');
  return jsonFile;
}

/**
 * Whether a model's objects are judged: not where it finds none, or no annotation file names them.
 * @throws ArgumentError where nothing is judged then
 */
function judgesObjects({ jsonFile }: EvaluateFlags, { config }: Pick<Predictor, 'config'>, pixels: boolean): boolean {
  const objects = config.MODEL.META_ARCHITECTURE !== 'SemanticSegmentor' && jsonFile !== undefined;
  if (objects || pixels) return objects;
  throw new ArgumentError(
    'The model says the class of every pixel: name what it is judged by with --semantic or --panoptic-json.',
  );
}

/** @throws ArgumentError where there is no model or no folder of pictures */
function imagesFolder(flags: EvaluateFlags): string {
  if (flags.model === undefined && flags.config === undefined && flags.weights === undefined)
    throw new ArgumentError('Nothing to evaluate: give --results, or a model with --config and --weights, or --model.');
  if (flags.images === undefined) throw new ArgumentError('A model is evaluated on pictures: give their folder with --images.');
  return flags.images;
}

async function predictAll(
  dataset: CocoDataset,
  flags: EvaluateFlags,
  images: string,
  overrides: readonly string[],
  truth: PixelTruth | undefined,
): Promise<Required<Pick<Judged, 'results' | 'proposals' | 'keypointSigmas'>> & Pick<Judged, 'pixels'> & { objects: boolean }> {
  const [{ augmentationOverrides, loadPredictor }, { predictDataset }, { progressLine }, { PixelJudge }] = await Promise.all([
    import('./load_predictor.js'),
    import('../engine/predict_dataset.js'),
    import('./progress_line.js'),
    import('./evaluate_pixels.js'),
  ]);
  const predictor = await loadPredictor(flags, { overrides: [...overrides, ...augmentationOverrides(flags)] });
  const line = await progressLine(`predicting on ${predictor.device}`, 'pictures');
  try {
    const judge = truth && (await PixelJudge.open(truth, predictor, flags.output));
    const objects = judgesObjects(flags, predictor, judge !== undefined);
    const results = await predictDataset(predictor, dataset, images, {
      batchSize: flags.batch,
      ...(judge ? { onPrediction: (image, prediction) => judge.add(image, prediction) } : {}),
      onProgress: (done, total) => line.update(done, total),
    });
    const { TEST } = predictor.config;
    return {
      results,
      proposals: findsProposals(predictor.config),
      keypointSigmas: TEST.KEYPOINT_OKS_SIGMAS,
      objects,
      ...(judge ? { pixels: await judge.finish() } : {}),
    };
  } finally {
    line.stop();
    predictor.dispose();
  }
}
