import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CocoDataset, CocoResult } from '../../src/data/coco/coco_types.js';
import { CocoEvaluator } from '../../src/evaluation/coco_evaluator.js';
import { PROPOSAL_AREAS, proposalRecall } from '../../src/evaluation/proposal_recall.js';
import { goldenFolder } from '../golden_folder.js';

const folder = goldenFolder();
const read = <T>(name: string): T => JSON.parse(readFileSync(join(folder!, 'data/cocoeval', name), 'utf8')) as T;
type Results = Record<string, Record<string, number | 'NaN'>>;

const compare = (ours: Record<string, number>, expected: Record<string, number | 'NaN'>) => {
  expect(Object.keys(ours)).toEqual(Object.keys(expected));
  for (const [name, value] of Object.entries(expected))
    if (value === 'NaN') expect(ours[name], name).toBeNaN();
    else expect(Math.abs(ours[name]! - value), name).toBeLessThanOrEqual(1e-9);
};

const one: CocoDataset = {
  images: [{ id: 1, file_name: 'a', height: 10, width: 10 }],
  categories: [{ id: 1, name: 'x' }],
  annotations: [{ id: 1, image_id: 1, category_id: 1, bbox: [0, 0, 4, 4], area: 16, iscrowd: 0 }],
};

describe('CocoEvaluator', () => {
  it('gives NaN without detections, and no per-category numbers for one category', () => {
    const evaluator = new CocoEvaluator(one);
    expect(evaluator.evaluate().results.bbox!['AP']).toBeNaN();
    evaluator.add([{ image_id: 1, category_id: 1, bbox: [0, 0, 4, 4], score: 1 }]);
    const { results } = evaluator.evaluate();
    expect(results.bbox!['AP']).toBeCloseTo(100, 9);
    expect(Object.keys(results)).toEqual(['bbox']);
    expect(Object.keys(results.bbox!)).toHaveLength(6);
    evaluator.reset();
    expect(evaluator.evaluate().results.bbox!['AP']).toBeNaN();
  });

  it('computes proposal recall by hand', () => {
    // IoU 0.5: found at the first threshold only.
    const half = { imageId: 1, boxes: Float32Array.of(0, 0, 4, 2), objectness: Float32Array.of(1) };
    const { averageRecall, recalls, positives } = proposalRecall(one, [half]);
    expect([...recalls]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(averageRecall).toBeCloseTo(0.1, 7);
    expect(positives).toBe(1);
  });

  it.skipIf(!folder)('equals the golden dictionaries', () => {
    const expected = read<Record<string, Results>>('expected.json');
    for (const [truth, found, key] of [
      ['gt_instances.json', 'dt_instances.json', 'detectron2'],
      ['gt_keypoints.json', 'dt_keypoints.json', 'detectron2_keypoints'],
    ] as const) {
      const evaluator = new CocoEvaluator(read<CocoDataset>(truth));
      evaluator.add(read<CocoResult[]>(found));
      const { results } = evaluator.evaluate();
      expect(Object.keys(results)).toEqual(Object.keys(expected[key]!));
      for (const task of Object.keys(expected[key]!)) compare(results[task as 'bbox']!, expected[key]![task]!);
    }
    const empty = read<Record<string, { gt: CocoDataset; detectron2: Results }>>('boundary.json')['empty_detections']!;
    const { results } = new CocoEvaluator(empty.gt, ['bbox', 'segm']).evaluate();
    compare(results.bbox!, empty.detectron2['bbox']!);
    compare(results.segm!, empty.detectron2['segm']!);
  });

  it.skipIf(!folder)('equals the golden proposal recall', () => {
    const dataset = read<CocoDataset>('gt_instances.json');
    const byImage = new Map<number, CocoResult[]>();
    for (const r of read<CocoResult[]>('dt_instances.json')) byImage.set(r.image_id, [...(byImage.get(r.image_id) ?? []), r]);
    const proposals = [...byImage].map(([imageId, list]) => ({
      imageId,
      boxes: Float32Array.from(list.flatMap(({ bbox }) => [bbox![0]!, bbox![1]!, bbox![0]! + bbox![2]!, bbox![1]! + bbox![3]!])),
      objectness: Float32Array.from(list, (r, i) => r.score + 1e-6 * i),
    }));
    type Entry = { ar: number; recalls: number[]; num_pos: number };
    const expected = read<{ box_proposals: { results: Record<string, Entry> } }>('expected.json').box_proposals.results;
    const areas = { '': 'all', s: 'small', m: 'medium', l: 'large' } as Record<string, keyof typeof PROPOSAL_AREAS>;
    for (const [name, entry] of Object.entries(expected)) {
      const [, suffix, limit] = /^AR(.*)@(\d+)$/.exec(name)!;
      const ours = proposalRecall(dataset, proposals, areas[suffix!], Number(limit));
      expect(ours.positives, name).toBe(entry.num_pos);
      expect(Math.abs(ours.averageRecall - entry.ar), name).toBeLessThanOrEqual(1e-6);
      ours.recalls.forEach((r, i) => expect(Math.abs(r - entry.recalls[i]!), name).toBeLessThanOrEqual(1e-6));
    }
  });
});
