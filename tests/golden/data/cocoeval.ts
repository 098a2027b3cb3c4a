import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CocoDataset, CocoResult } from '../../../src/data/coco/coco_types.js';
import { CocoEval } from '../../../src/evaluation/coco_eval.js';
import { CocoEvaluator } from '../../../src/evaluation/coco_evaluator.js';
import { summarize } from '../../../src/evaluation/coco_summary.js';
import type { EvaluationOptions, IouType } from '../../../src/evaluation/evaluation_parameters.js';
import type { EvaluationArrays } from '../../../src/evaluation/precision_recall.js';
import { PROPOSAL_AREAS, proposalRecall } from '../../../src/evaluation/proposal_recall.js';
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
      if (/^detectron2/.test(name)) dictionaries(folder, caseName, name, entry as unknown as Dictionaries, add);
      else if (name === 'box_proposals') proposals(folder, caseName, (entry as unknown as Proposals).results, add);
      else add(unsupported(caseName, name, NOT_YET));
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
  if (existsSync(join(folder, 'detail_oks.json'))) similarities(folder, caseName, add);
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

type Dictionaries = Record<string, Record<string, number | 'NaN'>>;

/** The results of Detectron2's `COCOEvaluator`: percentages by task and name. */
function dictionaries(folder: string, caseName: string, name: string, expected: Dictionaries, add: (line: Line) => void): void {
  const kind = name.includes('keypoints') ? 'keypoints' : 'instances';
  const evaluator = new CocoEvaluator(readJson<CocoDataset>(folder, `gt_${kind}.json`));
  evaluator.add(readJson<CocoResult[]>(folder, `dt_${kind}.json`));
  add(compareValues({ case: caseName, name }, evaluator.evaluate().results, expected, { abs: 1e-9 }));
}

interface Proposals {
  results: Record<string, { ar: number; recalls: number[]; num_pos: number }>;
}

const PROPOSAL_SUFFIXES: Record<string, keyof typeof PROPOSAL_AREAS> = { '': 'all', s: 'small', m: 'medium', l: 'large' };

/** Recall of the detections as proposals, entries named `AR[s|m|l]@LIMIT`. */
function proposals(folder: string, caseName: string, expected: Proposals['results'], add: (line: Line) => void): void {
  const dataset = readJson<CocoDataset>(folder, 'gt_instances.json');
  const byImage = new Map<number, CocoResult[]>();
  for (const r of readJson<CocoResult[]>(folder, 'dt_instances.json')) {
    const list = byImage.get(r.image_id);
    if (list) list.push(r);
    else byImage.set(r.image_id, [r]);
  }
  const found = [...byImage].map(([imageId, list]) => ({
    imageId,
    boxes: Float32Array.from(list.flatMap(({ bbox }) => [bbox![0]!, bbox![1]!, bbox![0]! + bbox![2]!, bbox![1]! + bbox![3]!])),
    objectness: Float32Array.from(list, (r, i) => r.score + 1e-6 * i),
  }));
  for (const [name, { ar, recalls, num_pos }] of Object.entries(expected)) {
    const parts = /^AR(.*)@(\d+)$/.exec(name);
    const area = PROPOSAL_SUFFIXES[parts?.[1] ?? '?'];
    if (!area) {
      add(unsupported(caseName, `box_proposals/${name}`, NOT_YET));
      continue;
    }
    const ours = proposalRecall(dataset, found, area, Number(parts![2]));
    const actual = { ar: ours.averageRecall, recalls: Array.from(ours.recalls), num_pos: ours.positives };
    add(compareValues({ case: caseName, name: `box_proposals/${name}` }, actual, { ar, recalls, num_pos }, { abs: 1e-6 }));
  }
}

/** Keypoint similarities: rows are detections by descending score, columns the listed ground truth. */
function similarities(folder: string, caseName: string, add: (line: Line) => void): void {
  const { dataset, results, options } = setting(folder, 'keypoints', {});
  const evaluation = new CocoEval(dataset, results, 'keypoints', options);
  const details = readJson<{ image_id: number; category_id: number; oks: number[][]; gtIds: number[] }[]>(
    folder,
    'detail_oks.json',
  );
  for (const { image_id, category_id, oks, gtIds } of details) {
    const ours = evaluation.imageEvaluation(image_id, category_id);
    const G = ours?.groundTruthIds.length ?? 0;
    const columns = gtIds.map((id) => ours?.groundTruthIds.indexOf(id) ?? -1);
    const actual = (ours?.detectionIds ?? []).map((_, d) => columns.map((g) => ours!.ious[d * G + g]));
    add(compareValues({ case: caseName, name: `detail_oks/${image_id}.${category_id}` }, actual, oks, { abs: 1e-12 }));
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
