import { join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { proposalReport, proposalReportText } from '../evaluation/box_proposals.js';
import { evaluationReport, reportText } from '../evaluation/evaluation_report.js';
import type { PanopticDataset } from '../data/coco/read_panoptic.js';
import type { PixelEvaluation } from '../evaluation/pixel_evaluator.js';
import { pixelReport, pixelReportText } from '../evaluation/pixel_report.js';
import { withProgress } from './progress_bar.js';
import { textTable } from './text_table.js';

/** How detections are judged, and where the numbers go. */
export interface JudgeFlags {
  score: number;
  iou: number;
  output?: string;
  images?: string;
  json?: boolean;
  /** Of the model's config; COCO's where it has none. */
  keypointSigmas?: readonly number[];
}

/** What was said of pixels, and how its tables are called. */
export interface JudgedPixels {
  readonly evaluation: PixelEvaluation;
  readonly categories: PanopticDataset['categories'];
  readonly semanticClassNames: readonly string[];
}

/** Writes what there is to say about pixels alone into `--output` as `evaluation.json` and `.txt`, and prints it. */
export async function showPixels(judged: JudgedPixels, { output, json }: JudgeFlags): Promise<void> {
  const report = pixelReport(judged.evaluation, judged.categories, judged.semanticClassNames);
  await show(`${JSON.stringify(report, null, 2)}\n`, pixelReportText(report, textTable), output, json);
}

/** Judges region proposals: writes their recall into `--output` as `evaluation.json` and `.txt`, and prints it. */
export async function showProposals(
  dataset: CocoDataset,
  results: readonly CocoResult[],
  { output, json }: Pick<JudgeFlags, 'output' | 'json'>,
): Promise<void> {
  const report = proposalReport(dataset, results);
  await show(`${JSON.stringify(report, null, 2)}\n`, proposalReportText(report, textTable), output, json);
}

async function show(json: string, text: string, output: string | undefined, asJson: boolean | undefined): Promise<void> {
  if (output !== undefined) {
    await writeFileAtomic(join(output, 'evaluation.json'), json);
    await writeFileAtomic(join(output, 'evaluation.txt'), text);
  }
  process.stdout.write(asJson ? json : text);
}

/** Evaluates, writes `evaluation.json`, `.txt` and `.html` into `--output`, prints the report; says how far it is where that takes long. */
export async function showJudgement(
  dataset: CocoDataset,
  results: readonly CocoResult[],
  flags: JudgeFlags,
  pixels?: JudgedPixels,
): Promise<void> {
  const report = await withProgress('evaluating', 'categories', undefined, (onProgress) =>
    evaluationReport(dataset, results, {
      score: flags.score,
      iou: flags.iou,
      onProgress,
      ...(flags.keypointSigmas?.length ? { keypointSigmas: [...flags.keypointSigmas] } : {}),
    }),
  );
  const more = pixels ? pixelReport(pixels.evaluation, pixels.categories, pixels.semanticClassNames) : {};
  const text = reportText(report) + (pixels ? `\n${pixelReportText(more, textTable)}` : '');
  if (flags.output !== undefined) {
    const { writeEvaluationPage } = await import('./evaluate_page.js');
    await writeEvaluationPage(flags.output, report, dataset, results, flags.images);
  }
  await show(`${JSON.stringify({ ...report, ...more }, null, 2)}\n`, text, flags.output, flags.json);
}
