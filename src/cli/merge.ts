import type { Command } from 'commander';
import { join } from 'node:path';
import type { JudgedClasses } from '../evaluation/pixel_evaluator.js';
import type { JudgedPicture } from './evaluate_pixels.js';
import { fraction } from './numbers.js';
import { resultsFile } from './results_file.js';

interface MergeFlags {
  jsonFile?: string;
  images?: string;
  output?: string;
  score: number;
  iou: number;
  json?: boolean;
}

/** `maskrcnn merge`: joins what `predict --shard` or `evaluate --shard` left, and evaluates the latter. */
export function register(program: Command): void {
  program
    .command('merge')
    .description('join the parts of predict --shard or evaluate --shard; those of evaluate are evaluated')
    .argument('<folder>', 'the folder that all shards had as --output')
    .option('--json-file <file>', 'COCO annotation JSON that the shards of evaluate had, where they had one')
    .option('--images <folder>', 'the folder of the pictures, for those in evaluation.html')
    .option('--output <path>', 'where the joined files go (default: into the folder of the parts)')
    .option('--score <number>', 'score from which detections count for precision, recall, F1 and confusion', fraction, 0.5)
    .option('--iou <number>', 'overlap from which a detection is right, for the same', fraction, 0.5)
    .option('--json', 'print JSON')
    .action(async (folder: string, flags: MergeFlags) => {
      const [{ partsCommand }, { refuseCopies }] = await Promise.all([
        import('../sharding/join_parts.js'),
        import('../sharding/shard.js'),
      ]);
      refuseCopies('merge', process.env);
      const isEvaluation = flags.jsonFile !== undefined || (await partsCommand(folder)) === 'evaluate';
      process.exitCode = await (isEvaluation ? mergeEvaluation(folder, flags) : mergePredictions(folder, flags));
    });
}

async function mergeEvaluation(folder: string, { jsonFile, ...flags }: MergeFlags): Promise<number> {
  const [
    { joinEvaluationParts },
    { readAnnotations },
    { writeCocoResults },
    { judgePictures },
    { showJudgement, showPixels, showProposals },
  ] = await Promise.all([
    import('../sharding/evaluation_part.js'),
    import('./read_annotations.js'),
    import('../data/coco/write_coco.js'),
    import('./evaluate_pixels.js'),
    import('./judge.js'),
  ]);
  const annotations = jsonFile === undefined ? undefined : await readAnnotations(jsonFile);
  const { dataset, results, proposals, keypointSigmas, pixels } = await joinEvaluationParts<JudgedPicture>(folder, annotations);
  const output = flags.output ?? folder;
  // The PNGs lie with the parts.
  const judged = pixels && (await judgePictures(pixels.pictures, pixels.classes as JudgedClasses, folder));
  if (!dataset) {
    await showPixels(judged!, { ...flags, output });
    return 0;
  }
  await writeCocoResults(join(output, resultsFile(proposals)), results);
  if (proposals) await showProposals(dataset, results, { ...flags, output });
  else await showJudgement(dataset, results, { ...flags, output, keypointSigmas }, judged);
  return 0;
}

async function mergePredictions(folder: string, flags: MergeFlags): Promise<number> {
  const [{ joinPredictionParts }, { finishPredictions }] = await Promise.all([
    import('./prediction_part.js'),
    import('./predicted_image.js'),
  ]);
  const { images, format, device, categories } = await joinPredictionParts(folder);
  const output = flags.output ?? folder;
  return finishPredictions(images, device, { format, output, ...(flags.json ? { json: true } : {}) }, categories);
}
