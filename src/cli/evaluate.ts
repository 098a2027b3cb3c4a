import type { Command } from 'commander';
import { join } from 'node:path';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import type { EvaluationReport } from '../evaluation/evaluation_report.js';
import { ArgumentError } from '../errors.js';

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
  score: number;
  iou: number;
  json?: boolean;
}

interface Judged {
  report: EvaluationReport;
  dataset: CocoDataset;
  results: CocoResult[];
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
    .option('--weights <file>', 'a weight file (.pkl, .pth, .safetensors), with --config')
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
    .option('--offline', 'never go to the network')
    .option('--score <number>', 'score from which detections count for precision, recall, F1 and confusion', fraction, 0.5)
    .option('--iou <number>', 'overlap from which a detection is right, for the same', fraction, 0.5)
    .option('--json', 'print JSON')
    .action(async (overrides: string[], flags: EvaluateFlags) => {
      const { reportText } = await import('../evaluation/evaluation_report.js');
      const judged = await (flags.results === undefined ? evaluateModel(flags, overrides) : evaluateResults(flags, overrides));
      const { report, dataset, results } = judged;
      const text = reportText(report);
      const json = `${JSON.stringify(report, null, 2)}\n`;
      if (flags.output !== undefined) {
        const { writeFileAtomic } = await import('../atomic_file.js');
        await writeFileAtomic(join(flags.output, 'evaluation.json'), json);
        await writeFileAtomic(join(flags.output, 'evaluation.txt'), text);
        const { writeEvaluationPage } = await import('./evaluate_page.js');
        await writeEvaluationPage(flags.output, report, dataset, results, flags.images);
      }
      process.stdout.write(flags.json ? json : text);
    });
}

async function evaluateResults(flags: EvaluateFlags, overrides: readonly string[]): Promise<Judged> {
  const ofModels = (['model', 'config', 'weights', 'limit'] as const).find((name) => flags[name] !== undefined);
  if (ofModels !== undefined || overrides.length > 0)
    throw new ArgumentError(`--results is a file that is evaluated without a model; leave out ${ofModels ? `--${ofModels}` : overrides[0]}.`); // prettier-ignore
  const { readAnnotations, readResults } = await import('./read_annotations.js');
  const dataset = await readAnnotations(flags.jsonFile);
  const results = await readResults(flags.results!);
  return { report: await judge(dataset, results, flags), dataset, results };
}

async function evaluateModel(flags: EvaluateFlags, overrides: readonly string[]): Promise<Judged> {
  if (flags.model === undefined && flags.config === undefined && flags.weights === undefined)
    throw new ArgumentError('Nothing to evaluate: give --results, or a model with --config and --weights, or --model.');
  if (flags.images === undefined) throw new ArgumentError('A model is evaluated on pictures: give their folder with --images.');
  const { readAnnotations } = await import('./read_annotations.js');
  const dataset = firstImages(await readAnnotations(flags.jsonFile), flags.limit);
  const results = await predictAll(dataset, flags, flags.images, overrides);
  if (flags.output !== undefined) {
    const { writeCocoResults } = await import('../data/coco/write_coco.js');
    await writeCocoResults(join(flags.output, 'coco_instances_results.json'), results);
  }
  return { report: await judge(dataset, results, flags), dataset, results };
}

/** The report; a progress line where it takes long. */
async function judge(dataset: CocoDataset, results: readonly CocoResult[], flags: EvaluateFlags): Promise<EvaluationReport> {
  const [{ evaluationReport }, { withProgress }] = await Promise.all([
    import('../evaluation/evaluation_report.js'),
    import('./progress_bar.js'),
  ]);
  return withProgress('evaluating', 'categories', undefined, (onProgress) =>
    evaluationReport(dataset, results, { score: flags.score, iou: flags.iou, onProgress }),
  );
}

async function predictAll(
  dataset: CocoDataset,
  flags: EvaluateFlags,
  images: string,
  overrides: readonly string[],
): Promise<CocoResult[]> {
  const [{ loadPredictor }, { predictDataset }, { progressLine }] = await Promise.all([
    import('./load_predictor.js'),
    import('../engine/predict_dataset.js'),
    import('./progress_line.js'),
  ]);
  const predictor = await loadPredictor(flags, { overrides });
  const line = await progressLine(`predicting on ${predictor.device}`, 'pictures');
  try {
    return await predictDataset(predictor, dataset, images, {
      batchSize: flags.batch,
      onProgress: (done, total) => line.update(done, total),
    });
  } finally {
    line.stop();
    predictor.dispose();
  }
}

/** The data set's first pictures with what is on them. */
function firstImages(dataset: CocoDataset, limit: number | undefined): CocoDataset {
  if (limit === undefined) return dataset;
  const images = [...dataset.images].sort((a, b) => a.id - b.id).slice(0, limit);
  const ids = new Set(images.map(({ id }) => id));
  return { ...dataset, images, annotations: dataset.annotations.filter(({ image_id }) => ids.has(image_id)) };
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new ArgumentError(`"${text}" is not an integer above 0.`);
  return value;
}

function fraction(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new ArgumentError(`"${text}" is not a number from 0 to 1.`);
  return value;
}
