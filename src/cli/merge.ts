import type { Command } from 'commander';
import { join } from 'node:path';
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
    .option('--json-file <file>', 'COCO annotation JSON that the shards of evaluate had')
    .option('--images <folder>', 'the folder of the pictures, for those in evaluation.html')
    .option('--output <path>', 'where the joined files go (default: into the folder of the parts)')
    .option('--score <number>', 'score from which detections count for precision, recall, F1 and confusion', fraction, 0.5)
    .option('--iou <number>', 'overlap from which a detection is right, for the same', fraction, 0.5)
    .option('--json', 'print JSON')
    .action(async (folder: string, flags: MergeFlags) => {
      process.exitCode = await (flags.jsonFile === undefined
        ? mergePredictions(folder, flags)
        : mergeEvaluation(folder, flags.jsonFile, flags));
    });
}

async function mergeEvaluation(folder: string, annotations: string, flags: MergeFlags): Promise<number> {
  const [{ joinEvaluationParts }, { readAnnotations }, { writeCocoResults }, { showJudgement, showProposals }] =
    await Promise.all([
      import('../sharding/evaluation_part.js'),
      import('./read_annotations.js'),
      import('../data/coco/write_coco.js'),
      import('./judge.js'),
    ]);
  const { dataset, results, proposals } = await joinEvaluationParts(folder, await readAnnotations(annotations));
  const output = flags.output ?? folder;
  await writeCocoResults(join(output, resultsFile(proposals)), results);
  if (proposals) await showProposals(dataset, results, { ...flags, output });
  else await showJudgement(dataset, results, { ...flags, output });
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
