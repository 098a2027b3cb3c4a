import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CocoDataset, CocoResult } from '../../../src/data/coco/coco_types.js';
import { CocoEval } from '../../../src/evaluation/coco_eval.js';
import { summarize } from '../../../src/evaluation/coco_summary.js';
import type { EvaluationOptions, IouType } from '../../../src/evaluation/evaluation_parameters.js';
import type { EvaluationArrays } from '../../../src/evaluation/precision_recall.js';
import { compareNumbers, compareValues, unsupported, type Line } from '../compare.js';
import { SafetensorsFile } from '../safetensors_file.js';
import { NOT_YET } from '../unsupported.js';
import { readJson } from './json_file.js';

interface Expected {
  names?: string[];
  stats?: number[];
  note?: string;
  imgIds?: number[];
  catIds?: number[];
  sigmas?: number[];
}

type Detail = Record<'image_id' | 'category_id', number> & {
  ious: number[][];
  dtIds: number[];
  gtIds: number[];
  dtMatches: number[][];
  gtMatches: number[][];
  dtIgnore: boolean[][];
  gtIgnore: number[];
  dtScores: number[];
};

const without = (results: CocoResult[], key: 'bbox' | 'segmentation'): CocoResult[] =>
  results.map((r) => Object.fromEntries(Object.entries(r).filter(([k]) => k !== key)) as unknown as CocoResult);

/** COCO statistics, precision arrays, matches and the boundary cases. */
export async function runCocoEval(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const expected = readJson<Record<string, Expected>>(folder, 'expected.json');
  const evaluations = new Map<IouType, EvaluationArrays>();
  for (const [name, entry] of Object.entries(expected)) {
    if (!entry.stats) {
      add(unsupported(caseName, name, NOT_YET));
      continue;
    }
    const { task, dataset, results, options } = setting(folder, name, entry);
    const arrays = new CocoEval(dataset, results, task, options).run();
    if (!evaluations.has(task)) evaluations.set(task, arrays);
    // Plain pycocotools looks for 100 detections in its first number, Detectron2 for the largest limit.
    const { stats } = summarize(arrays, name.includes('plain') ? 100 : undefined);
    add(compareNumbers({ case: caseName, name }, stats, entry.stats, { abs: 1e-12 }));
  }
  for (const [task, arrays] of evaluations) compareArrays(folder, caseName, task, arrays, add);
  for (const task of ['bbox', 'segm'] as const)
    if (existsSync(join(folder, `detail_${task}.json`))) details(folder, caseName, task, add);
  if (existsSync(join(folder, 'boundary.json'))) boundary(folder, caseName, add);
}

interface Setting {
  task: IouType;
  dataset: CocoDataset;
  results: CocoResult[];
  options: EvaluationOptions;
}

/** What an entry's name says: `TASK[_VARIANT]`; detections hold both boxes and masks, of which a task takes its own unless the name keeps both. */
function setting(folder: string, name: string, entry: Expected): Setting {
  const task = name.split('_')[0] as IouType;
  const keypoints = task === 'keypoints';
  const dataset = readJson<CocoDataset>(folder, keypoints ? 'gt_keypoints.json' : 'gt_instances.json');
  let results = readJson<CocoResult[]>(folder, keypoints ? 'dt_keypoints.json' : 'dt_instances.json');
  if (task === 'bbox') results = without(results, 'segmentation');
  if ((task === 'segm' && !name.includes('with_bbox')) || name.includes('without_bbox')) results = without(results, 'bbox');
  const limits = /maxdets_([\d_]*\d)/.exec(name);
  const options: EvaluationOptions = {
    ...(entry.imgIds ? { imageIds: entry.imgIds } : {}),
    ...(entry.catIds ? { categoryIds: entry.catIds } : {}),
    ...(entry.sigmas ? { keypointSigmas: entry.sigmas } : {}),
    ...(/use_cats_0/.test(name) ? { useCategories: false } : {}),
    ...(limits ? { maxDetections: limits[1].split('_').map(Number) } : {}),
  };
  return { task, dataset, results, options };
}

function compareArrays(
  folder: string,
  caseName: string,
  task: IouType,
  arrays: EvaluationArrays,
  add: (line: Line) => void,
): void {
  const path = join(folder, `arrays_${task}.safetensors`);
  if (!existsSync(path)) return;
  const file = new SafetensorsFile(path);
  const abs = task === 'keypoints' ? 1e-12 : 0;
  for (const name of ['precision', 'recall', 'scores'] as const) {
    add(compareNumbers({ case: caseName, name: `arrays_${task}/${name}` }, arrays[name], file.get(name).data, { abs }));
  }
}

function details(folder: string, caseName: string, task: 'bbox' | 'segm', add: (line: Line) => void): void {
  const { dataset, results, options } = setting(folder, task, {});
  const evaluation = new CocoEval(dataset, results, task, options);
  for (const detail of readJson<Detail[]>(folder, `detail_${task}.json`)) {
    const where = { case: caseName, name: `detail_${task}/${detail.image_id}.${detail.category_id}` };
    const ours = evaluation.imageEvaluation(detail.image_id, detail.category_id);
    if (!ours) {
      add({ ...where, ok: false, note: 'no evaluation of this image and category' });
      continue;
    }
    const detections = detail.dtIds.map((id) => ours.detectionIds.indexOf(id));
    // The golden lists ground truth with the ignored last; ours keeps the file's order, as do the golden's columns of IoU.
    const truth = detail.gtIds.map((id) => ours.groundTruthIds.indexOf(id));
    const [D, G] = [ours.detectionIds.length, ours.groundTruthIds.length];
    const inFileOrder = [...detail.gtIds]
      .sort((a, b) => order(dataset, a) - order(dataset, b))
      .map((id) => ours.groundTruthIds.indexOf(id));
    const matched = (number: number, ids: number[]): number => (number < 0 ? 0 : ids[number]);
    const actual = {
      ious: detections.map((d) => inFileOrder.map((g) => ours.ious[d * G + g])),
      dtMatches: detail.dtMatches.map((_, t) =>
        detections.map((d) => matched(ours.detectionMatches[t * D + d], ours.groundTruthIds)),
      ),
      gtMatches: detail.gtMatches.map((_, t) => truth.map((g) => matched(ours.groundTruthMatches[t * G + g], ours.detectionIds))),
      dtIgnore: detail.dtIgnore.map((_, t) => detections.map((d) => ours.detectionIgnored[t * D + d] === 1)),
      gtIgnore: truth.map((g) => ours.groundTruthIgnored[g]),
      dtScores: detections.map((d) => ours.scores[d]),
    };
    const { ious, dtMatches, gtMatches, dtIgnore, gtIgnore, dtScores } = detail;
    const expected = { ious, dtMatches, gtMatches, dtIgnore, gtIgnore, dtScores };
    add(compareValues(where, actual, expected, { abs: 1e-15 }));
  }
}

const order = (dataset: CocoDataset, id: number): number => dataset.annotations.findIndex((a) => a.id === id);

type Boundary = Expected & { gt: CocoDataset; dt: CocoResult[]; iouType?: IouType; error?: string };

function boundary(folder: string, caseName: string, add: (line: Line) => void): void {
  for (const [name, c] of Object.entries(readJson<Record<string, Boundary>>(folder, 'boundary.json'))) {
    const where = { case: caseName, name: `boundary/${name}` };
    let stats: number[] | undefined;
    let message = '';
    try {
      stats = summarize(new CocoEval(c.gt, c.dt, c.iouType ?? 'bbox').run()).stats;
    } catch (error) {
      message = error instanceof Error ? error.message : String(error);
    }
    if (c.error) add({ ...where, ok: stats === undefined, tolerance: 'an error', note: message || 'no error' });
    else if (!stats) add({ ...where, ok: false, note: message });
    else add(compareNumbers(where, stats, c.stats ?? [], { abs: 1e-12 }));
  }
}
