import type { Command } from 'commander';
import { ArgumentError } from '../errors.js';

interface EvaluateFlags {
  results: string;
  jsonFile: string;
  output?: string;
  score: number;
  iou: number;
  json?: boolean;
}

/** `maskrcnn evaluate`: judges a COCO results file against an annotation file. */
export function register(program: Command): void {
  program
    .command('evaluate')
    .description('compare a COCO results file with a COCO annotation file')
    .requiredOption('--results <file>', 'COCO results JSON: a list of detections')
    .requiredOption('--json-file <file>', 'COCO annotation JSON')
    .option('--output <folder>', 'write evaluation.json and evaluation.txt here')
    .option('--score <number>', 'score from which detections count for precision, recall, F1 and confusion', fraction, 0.5)
    .option('--iou <number>', 'overlap from which a detection is right, for the same', fraction, 0.5)
    .option('--json', 'print JSON')
    .action(async (flags: EvaluateFlags) => {
      const { evaluateFiles, reportText } = await import('../evaluation/evaluation_report.js');
      const report = await evaluateFiles(flags.jsonFile, flags.results, { score: flags.score, iou: flags.iou });
      const text = reportText(report);
      const json = `${JSON.stringify(report, null, 2)}\n`;
      if (flags.output !== undefined) {
        const [{ join }, { writeFileAtomic }] = await Promise.all([import('node:path'), import('../atomic_file.js')]);
        await writeFileAtomic(join(flags.output, 'evaluation.json'), json);
        await writeFileAtomic(join(flags.output, 'evaluation.txt'), text);
      }
      process.stdout.write(flags.json ? json : text);
    });
}

function fraction(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new ArgumentError(`"${text}" is not a number from 0 to 1.`);
  return value;
}
