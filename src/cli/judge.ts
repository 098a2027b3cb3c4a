import { join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { evaluationReport, reportText } from '../evaluation/evaluation_report.js';
import { withProgress } from './progress_bar.js';

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

/** Evaluates, writes `evaluation.json`, `.txt` and `.html` into `--output`, prints the report; says how far it is where that takes long. */
export async function showJudgement(dataset: CocoDataset, results: readonly CocoResult[], flags: JudgeFlags): Promise<void> {
  const report = await withProgress('evaluating', 'categories', undefined, (onProgress) =>
    evaluationReport(dataset, results, {
      score: flags.score,
      iou: flags.iou,
      onProgress,
      ...(flags.keypointSigmas?.length ? { keypointSigmas: [...flags.keypointSigmas] } : {}),
    }),
  );
  const text = reportText(report);
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (flags.output !== undefined) {
    await writeFileAtomic(join(flags.output, 'evaluation.json'), json);
    await writeFileAtomic(join(flags.output, 'evaluation.txt'), text);
    const { writeEvaluationPage } = await import('./evaluate_page.js');
    await writeEvaluationPage(flags.output, report, dataset, results, flags.images);
  }
  process.stdout.write(flags.json ? json : text);
}
