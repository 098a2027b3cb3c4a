import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { thumbnails } from '../data/dataset/thumbnails.js';
import { forTask } from '../evaluation/coco_evaluator.js';
import { evaluationPage } from '../evaluation/evaluation_page.js';
import type { EvaluationReport } from '../evaluation/evaluation_report.js';
import { worstImages } from '../evaluation/worst_images.js';
import { withProgress } from './progress_bar.js';

/** Images in the gallery, and their longest side on the page. */
const WORST = 24;
const SIDE = 720;

/**
 * Writes `evaluation.html` into a folder.
 *
 * @param images folder of the pictures; absent: the gallery shows outlines alone
 */
export async function writeEvaluationPage(
  folder: string,
  report: EvaluationReport,
  dataset: CocoDataset,
  results: readonly CocoResult[],
  images: string | undefined,
): Promise<void> {
  const task = report.tasks.segm ? 'segm' : 'bbox';
  const { scoreThreshold: score, iouThreshold: iou } = report;
  const worst = report.tasks[task] ? worstImages(dataset, forTask(results, task), task, { score, iou, limit: WORST }) : [];
  const ids = new Set(worst.map((w) => w.imageId));
  const shown = dataset.images.filter((i) => ids.has(i.id));
  const pictures =
    images === undefined
      ? new Map<number, string>()
      : await withProgress('reading pictures', 'pictures', shown.length, (tick) => thumbnails(shown, images, SIDE, tick));
  const { resolve } = createRequire(import.meta.url);
  const [script, style] = await Promise.all(
    ['uPlot.iife.min.js', 'uPlot.min.css'].map((f) => readFile(resolve(`uplot/dist/${f}`), 'utf8')),
  );
  const page = evaluationPage(report, {
    title: 'Evaluation',
    dataset,
    worst,
    pictures,
    charts: { script: script!, style: style! },
  });
  await writeFileAtomic(join(folder, 'evaluation.html'), page);
}
