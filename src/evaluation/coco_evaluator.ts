import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { CocoEval } from './coco_eval.js';
import { meanPrecision, summarize } from './coco_summary.js';
import type { EvaluationOptions, IouType } from './evaluation_parameters.js';
import type { EvaluationArrays } from './precision_recall.js';

/** Percentages by metric name (`AP`, `AP50`, ..., `AP-<category>`); NaN is absent. */
export type TaskResults = Record<string, number>;

/** What {@link CocoEvaluator.evaluate} returns. */
export interface CocoEvaluation {
  /** By task, as Detectron2's `COCOEvaluator` returns them. */
  results: Partial<Record<IouType, TaskResults>>;
  /** The arrays behind them; a task without any detection has none. */
  arrays: Partial<Record<IouType, EvaluationArrays>>;
}

const METRICS: Record<IouType, readonly string[]> = {
  bbox: ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl'],
  segm: ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl'],
  keypoints: ['AP', 'AP50', 'AP75', 'APm', 'APl'],
};

/**
 * Collects detections and evaluates them as Detectron2's `COCOEvaluator` does: boxes always, masks and keypoints where the detections have
 * them. For masks the boxes are dropped first, so that a detection's size is its mask's; for keypoints they are kept.
 *
 * ```ts
 * const evaluator = new CocoEvaluator(dataset);
 * evaluator.add(results);
 * const { results: { bbox, segm } } = evaluator.evaluate();
 * ```
 */
export class CocoEvaluator {
  private readonly collected: CocoResult[] = [];

  /**
   * @param tasks absent: found from the detections
   * @param options settings for all tasks (`keypointSigmas`, `maxDetections`, ...)
   */
  constructor(
    private readonly dataset: CocoDataset,
    private readonly tasks?: readonly IouType[],
    private readonly options: EvaluationOptions = {},
  ) {}

  /** Adds detections, in COCO's results format with the data set's own category ids. */
  add(results: Iterable<CocoResult>): void {
    for (const result of results) this.collected.push(result);
  }

  /** Forgets all detections. */
  reset(): void {
    this.collected.length = 0;
  }

  /**
   * @param onProgress is told how many categories are done, of how many over all tasks
   * @throws DatasetError for detections that do not fit the data set
   */
  evaluate(onProgress?: (done: number, total: number) => void): CocoEvaluation {
    const out: CocoEvaluation = { results: {}, arrays: {} };
    const tasks = this.tasks ?? tasksOf(this.collected);
    for (const [i, task] of tasks.entries()) {
      if (this.collected.length === 0) {
        out.results[task] = Object.fromEntries(METRICS[task].map((name) => [name, NaN]));
        continue;
      }
      const evaluation = new CocoEval(this.dataset, forTask(this.collected, task), task, this.options);
      const arrays = evaluation.run((done, total) => onProgress?.(i * total + done, tasks.length * total));
      out.arrays[task] = arrays;
      out.results[task] = taskResults(arrays, this.dataset);
    }
    return out;
  }
}

/** The names of a task's percentages on a data set with these categories. */
export function metricNames(task: IouType, categories: CocoDataset['categories']): string[] {
  return [...METRICS[task], ...(categories.length > 1 ? categories.map(({ name }) => `AP-${name}`) : [])];
}

/** Percentages of one task; with more than one category also `AP-<category>` for each, by ascending id. */
export function taskResults(arrays: EvaluationArrays, dataset: Pick<CocoDataset, 'categories'>): TaskResults {
  const { iouType, categoryIds, areaRanges, maxDetections } = arrays.parameters;
  const { stats } = summarize(arrays);
  const percent = (value: number) => (value >= 0 ? value * 100 : NaN);
  const out: TaskResults = Object.fromEntries(METRICS[iouType].map((name, i) => [name, percent(stats[i]!)]));
  if (categoryIds.length <= 1 || !arrays.parameters.useCategories) return out;
  const names = new Map(dataset.categories.map((c) => [c.id, c.name]));
  const selection = { label: areaRanges[0]!.label, limit: maxDetections[maxDetections.length - 1] };
  categoryIds.forEach((id, category) => {
    out[`AP-${names.get(id) ?? id}`] = percent(meanPrecision(arrays, { ...selection, category }));
  });
  return out;
}

/** The detections as Detectron2 hands them to a task's evaluation. */
export function forTask(results: readonly CocoResult[], task: IouType): CocoResult[] {
  // pycocotools never looks at masks where boxes or keypoints are evaluated.
  return results.map(({ image_id, category_id, score, bbox, segmentation, keypoints }) => ({
    image_id,
    category_id,
    score,
    ...(task !== 'segm' && bbox ? { bbox } : {}),
    ...(task === 'segm' && segmentation ? { segmentation } : {}),
    ...(task === 'keypoints' && keypoints ? { keypoints } : {}),
  }));
}

function tasksOf(results: readonly CocoResult[]): IouType[] {
  const tasks: IouType[] = ['bbox'];
  if (results.some((r) => r.segmentation)) tasks.push('segm');
  if (results.some((r) => r.keypoints)) tasks.push('keypoints');
  return tasks;
}
