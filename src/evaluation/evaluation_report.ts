import { readCocoDataset, readCocoResults } from '../data/coco/read_coco.js';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { CocoEval } from './coco_eval.js';
import { CocoEvaluator, forTask } from './coco_evaluator.js';
import type { CocoSummary } from './coco_summary.js';
import { meanPrecision, summarize } from './coco_summary.js';
import { confusionMatrix } from './confusion_matrix.js';
import type { IouType } from './evaluation_parameters.js';
import type { OperatingPoint } from './operating_points.js';
import { operatingPoints } from './operating_points.js';
import type { PrecisionRecallCurves } from './precision_recall_curves.js';
import { precisionRecallCurves } from './precision_recall_curves.js';

/** One class in one task; fractions, null is absent. */
export interface ClassReport {
  categoryId: number;
  name: string;
  objects: number;
  /** AP at IoU 0.50:0.95 and at 0.50. */
  ap: number | null;
  ap50: number | null;
  at: Point;
  best: Point | null;
}

/** An {@link OperatingPoint} with null for NaN, as JSON has it. */
export type Point = { [K in keyof OperatingPoint]: number | null };

/** One task. */
export interface TaskReport {
  /** COCO's 12 (10) numbers by name; null is absent. */
  summary: Record<string, number | null>;
  classes: ClassReport[];
  /** Row = true class, column = detected class, the last is background. Not for keypoints. */
  confusion?: { labels: string[]; counts: number[][] };
  curves: PrecisionRecallCurves;
}

/** What `maskrcnn evaluate` prints; JSON as it is. */
export interface EvaluationReport {
  images: number;
  objects: number;
  detections: number;
  scoreThreshold: number;
  iouThreshold: number;
  tasks: Partial<Record<IouType, TaskReport>>;
}

/** Options of {@link evaluationReport}. */
export interface ReportOptions {
  /** Score from which detections count for precision, recall, F1 and confusion. Default 0.5. */
  score?: number;
  /** Overlap from which a detection is right, for the same. Default 0.5. */
  iou?: number;
  /** Standard deviations of keypoints, relative to the object's size; COCO's for persons unless given. */
  keypointSigmas?: number[];
  /** Is told how many categories are done, of how many over all tasks. */
  onProgress?: (done: number, total: number) => void;
}

/** {@link evaluationReport} of two files. */
export async function evaluateFiles(
  annotations: string,
  results: string,
  options: ReportOptions = {},
): Promise<EvaluationReport> {
  return evaluationReport(await readCocoDataset(annotations), await readCocoResults(results), options);
}

/** Everything there is to say about detections: COCO's numbers, per-class numbers, operating points, confusion. */
export function evaluationReport(
  dataset: CocoDataset,
  results: readonly CocoResult[],
  options: ReportOptions = {},
): EvaluationReport {
  const score = options.score ?? 0.5;
  const iou = options.iou ?? 0.5;
  const sigmas = options.keypointSigmas ? { keypointSigmas: options.keypointSigmas } : {};
  const evaluator = new CocoEvaluator(dataset, undefined, sigmas);
  evaluator.add(results);
  const { arrays } = evaluator.evaluate(options.onProgress);
  const names = new Map(dataset.categories.map((c) => [c.id, c.name]));
  const tasks: EvaluationReport['tasks'] = {};
  for (const [task, array] of Object.entries(arrays) as [IouType, NonNullable<(typeof arrays)[IouType]>][]) {
    const own = forTask(results, task);
    const limit = array.parameters.maxDetections.at(-1);
    const points = operatingPoints(new CocoEval(dataset, own, task, { ...sigmas, iouThresholds: Float64Array.of(iou) }), score);
    const report: TaskReport = {
      summary: named(summarize(array)),
      classes: points.map((p, category) => ({
        categoryId: p.categoryId,
        name: names.get(p.categoryId) ?? String(p.categoryId),
        objects: p.objects,
        ap: present(meanPrecision(array, { label: 'all', limit, category })),
        ap50: present(meanPrecision(array, { label: 'all', limit, category, iou: 0.5 })),
        at: finite(p.at),
        best: p.best ? finite(p.best) : null,
      })),
      curves: precisionRecallCurves(array),
    };
    if (task !== 'keypoints') {
      const { categoryIds, counts } = confusionMatrix(dataset, own, task, { threshold: score, iou });
      report.confusion = { labels: [...categoryIds.map((id) => names.get(id) ?? String(id)), 'background'], counts };
    }
    tasks[task] = report;
  }
  return {
    images: dataset.images.length,
    objects: dataset.annotations.length,
    detections: results.length,
    scoreThreshold: score,
    iouThreshold: iou,
    tasks,
  };
}

/** The report as text tables. */
export function reportText(report: EvaluationReport): string {
  const out = [`${report.images} images, ${report.objects} objects, ${report.detections} detections`];
  const titles: Record<IouType, string> = { bbox: 'Boxes', segm: 'Masks', keypoints: 'Keypoints' };
  for (const [task, t] of Object.entries(report.tasks) as [IouType, TaskReport][]) {
    const names = Object.keys(t.summary);
    out.push('', `${titles[task]}: COCO's numbers, percent`, table([names, names.map((n) => percent(t.summary[n]!))]));
    out.push(
      '',
      `${titles[task]}: by class, percent; precision, recall and F1 from score ${report.scoreThreshold} at IoU ${report.iouThreshold}`,
    );
    const head = ['class', 'objects', 'AP', 'AP50', 'precision', 'recall', 'F1', 'best F1', 'from score'];
    const rows = t.classes.map((c) => [
      c.name,
      String(c.objects),
      percent(c.ap),
      percent(c.ap50),
      percent(c.at.precision),
      percent(c.at.recall),
      percent(c.at.f1),
      percent(c.best?.f1 ?? null),
      c.best?.threshold?.toFixed(3) ?? '-',
    ]);
    out.push(table([head, ...rows]));
    if (!t.confusion || t.confusion.labels.length > 21) continue;
    const { labels, counts } = t.confusion;
    out.push('', `${titles[task]}: confusion; row = true class, column = detected class`);
    out.push(table([['', ...labels], ...counts.map((row, i) => [labels[i]!, ...row.map(String)])]));
  }
  if (Object.keys(report.tasks).length === 0) out.push('', 'The results file holds no detections; there is nothing to evaluate.');
  return `${out.join('\n')}\n`;
}

/** Columns padded to their widest cell; the first to the left, the others to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

function named({ names, stats }: CocoSummary): Record<string, number | null> {
  return Object.fromEntries(names.map((name, i) => [name, present(stats[i]!)]));
}

function finite(point: OperatingPoint): Point {
  return Object.fromEntries(Object.entries(point).map(([k, v]: [string, number]) => [k, Number.isFinite(v) ? v : null])) as Point;
}

function present(value: number): number | null {
  return value > -1 ? value : null;
}

function percent(value: number | null): string {
  return value === null ? '-' : (100 * value).toFixed(1);
}
