import type { Command } from 'commander';
import { join } from 'node:path';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { ArgumentError } from '../errors.js';
import { fraction, positiveInteger } from './numbers.js';

interface EvaluateFlags {
  results?: string;
  model?: string;
  config?: string;
  weights?: string;
  jsonFile: string;
  images?: string;
  output?: string;
  device: string;
  limit?: number;
  batch: number;
  offline?: boolean;
  shard?: string;
  score: number;
  iou: number;
  json?: boolean;
}

interface Detections {
  dataset: CocoDataset;
  results: CocoResult[];
  keypointSigmas?: readonly number[];
}

/** `maskrcnn evaluate`: judges a model, or a COCO results file, against an annotation file. */
export function register(program: Command): void {
  program
    .command('evaluate')
    .description('compare a model, or a COCO results file, with a COCO annotation file')
    .argument('[overrides...]', "KEY=VALUE over the model's configuration")
    .option('--results <file>', 'COCO results JSON: a list of detections')
    .option('--model <name|folder>', 'a model of the zoo, or a folder with config.yaml and one weight file')
    .option('--config <file>', 'a Detectron2 config or a name of the zoo, with --weights')
    .option('--weights <file>', "a weight file (.pkl, .pth, .safetensors), with --config; torchvision's .pth without")
    .requiredOption('--json-file <file>', 'COCO annotation JSON')
    .option(
      '--images <folder>',
      'the folder of the pictures: needed with a model; with --results for the pictures in evaluation.html',
    )
    .option(
      '--output <folder>',
      'write evaluation.json, evaluation.txt and evaluation.html here; with a model coco_instances_results.json too',
    )
    .option('--device <name>', 'auto, tensorflow, wasm or cpu', 'auto')
    .option('--limit <number>', 'with a model: only the first pictures, by ascending id', positiveInteger)
    .option('--batch <number>', 'with a model: pictures that are computed together', positiveInteger, 1)
    .option(
      '--shard <i/n>',
      'with a model: only this share of the pictures, counted from 0, or auto (Slurm, Kubernetes, MPI); maskrcnn merge joins',
    )
    .option('--offline', 'never go to the network')
    .option('--score <number>', 'score from which detections count for precision, recall, F1 and confusion', fraction, 0.5)
    .option('--iou <number>', 'overlap from which a detection is right, for the same', fraction, 0.5)
    .option('--json', 'print JSON')
    .action(async (overrides: string[], flags: EvaluateFlags) => {
      if (flags.shard === undefined) {
        const judged = await (flags.results === undefined ? evaluateModel(flags, overrides) : evaluateResults(flags, overrides));
        const { showJudgement } = await import('./judge.js');
        await showJudgement(judged.dataset, judged.results, { ...flags, keypointSigmas: judged.keypointSigmas });
      } else await evaluateShard(flags, overrides, flags.shard);
    });
}

async function evaluateResults(flags: EvaluateFlags, overrides: readonly string[]): Promise<Detections> {
  const ofModels = (['model', 'config', 'weights', 'limit'] as const).find((name) => flags[name] !== undefined);
  if (ofModels !== undefined || overrides.length > 0)
    throw new ArgumentError(`--results is a file that is evaluated without a model; leave out ${ofModels ? `--${ofModels}` : overrides[0]}.`); // prettier-ignore
  const { readAnnotations, readResults } = await import('./read_annotations.js');
  const dataset = await readAnnotations(flags.jsonFile);
  const results = await readResults(flags.results!);
  return { dataset, results };
}

async function evaluateModel(flags: EvaluateFlags, overrides: readonly string[]): Promise<Detections> {
  const images = imagesFolder(flags);
  const [{ readAnnotations }, { firstImages }] = await Promise.all([
    import('./read_annotations.js'),
    import('../data/coco/first_images.js'),
  ]);
  const dataset = firstImages(await readAnnotations(flags.jsonFile), flags.limit);
  const { results, keypointSigmas } = await predictAll(dataset, flags, images, overrides);
  if (flags.output !== undefined) {
    const { writeCocoResults } = await import('../data/coco/write_coco.js');
    await writeCocoResults(join(flags.output, 'coco_instances_results.json'), results);
  }
  return { dataset, results, keypointSigmas };
}

/** The shard's own detections, as a part for `maskrcnn merge`. */
async function evaluateShard(flags: EvaluateFlags, overrides: readonly string[], text: string): Promise<void> {
  if (flags.results !== undefined)
    throw new ArgumentError('--shard divides the pictures among processes; --results has them done already.');
  if (flags.output === undefined)
    throw new ArgumentError('A shard leaves its part in a folder that all shards share: give it with --output.');
  const images = imagesFolder(flags);
  const [{ parseShard }, { writeEvaluationPart }, { readAnnotations }, { loadPredictor }, { progressLine }] = await Promise.all([
    import('../sharding/shard.js'),
    import('../sharding/evaluation_part.js'),
    import('./read_annotations.js'),
    import('./load_predictor.js'),
    import('./progress_line.js'),
  ]);
  const shard = parseShard(text, process.env);
  const dataset = await readAnnotations(flags.jsonFile);
  const predictor = await loadPredictor(flags, { overrides });
  const line = await progressLine(`shard ${shard.index} of ${shard.count} on ${predictor.device}`, 'pictures');
  try {
    const done = await writeEvaluationPart(predictor, dataset, images, {
      folder: flags.output,
      shard,
      batchSize: flags.batch,
      ...(flags.limit === undefined ? {} : { limit: flags.limit }),
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
): Promise<{ results: CocoResult[]; keypointSigmas: readonly number[] }> {
  const [{ loadPredictor }, { predictDataset }, { progressLine }] = await Promise.all([
    import('./load_predictor.js'),
    import('../engine/predict_dataset.js'),
    import('./progress_line.js'),
  ]);
  const predictor = await loadPredictor(flags, { overrides });
  const line = await progressLine(`predicting on ${predictor.device}`, 'pictures');
  try {
    const results = await predictDataset(predictor, dataset, images, {
      batchSize: flags.batch,
      onProgress: (done, total) => line.update(done, total),
    });
    return { results, keypointSigmas: predictor.config.TEST.KEYPOINT_OKS_SIGMAS };
  } finally {
    line.stop();
    predictor.dispose();
  }
}
