import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CocoDataset, CocoResult } from '../../src/data/coco/coco_types.js';
import { DatasetError } from '../../src/errors.js';
import { CocoEval } from '../../src/evaluation/coco_eval.js';
import { summarize } from '../../src/evaluation/coco_summary.js';
import type { EvaluationOptions, IouType } from '../../src/evaluation/evaluation_parameters.js';
import { goldenFolder } from '../golden_folder.js';
import { readArrays } from './read_arrays.js';

const folder = goldenFolder();
const read = <T>(name: string): T => JSON.parse(readFileSync(join(folder!, 'data/cocoeval', name), 'utf8')) as T;
const without = (results: CocoResult[], key: 'bbox' | 'segmentation'): CocoResult[] =>
  results.map((r) => Object.fromEntries(Object.entries(r).filter(([k]) => k !== key)) as unknown as CocoResult);
const close = (actual: number[], expected: number[], tolerance: number) => {
  expect(actual.length).toBe(expected.length);
  actual.forEach((v, i) =>
    expect(Math.abs(v - expected[i]!), `number ${i}: ${v}, expected ${expected[i]}`).toBeLessThanOrEqual(tolerance),
  );
};

const tiny: CocoDataset = {
  images: [{ id: 5, file_name: 'a', height: 10, width: 10 }],
  categories: [{ id: 3, name: 'x' }],
  annotations: [
    { id: 1, image_id: 5, category_id: 3, bbox: [0, 0, 4, 4], area: 16, iscrowd: 0, segmentation: [[0, 0, 4, 0, 4, 4, 0, 4]] },
    { id: 2, image_id: 5, category_id: 3, bbox: [5, 5, 4, 4], area: 16, iscrowd: 0, segmentation: [[5, 5, 9, 5, 9, 9, 5, 9]] },
  ],
};

describe('CocoEval', () => {
  it('scores one hit and one miss', () => {
    const results = [
      { image_id: 5, category_id: 3, bbox: [0, 0, 4, 4], score: 0.9 },
      { image_id: 5, category_id: 3, bbox: [0, 6, 2, 2], score: 0.8 },
    ];
    for (const type of ['bbox', 'segm'] as const) {
      const arrays = new CocoEval(tiny, results, type).run();
      expect(arrays.shape).toEqual([10, 101, 1, 4, 3]);
      // Recall 0.5 is reached with precision 1: 51 of 101 recall thresholds.
      expect(summarize(arrays).stats[0]).toBeCloseTo(51 / 101, 12);
      expect(summarize(arrays).stats[8]).toBe(0.5);
      expect(summarize(arrays).stats[5]).toBe(-1);
    }
  });

  it('names the result that does not fit', () => {
    const good = { image_id: 5, category_id: 3, bbox: [0, 0, 4, 4], score: 0.9 };
    expect(() => new CocoEval(tiny, [good, { ...good, image_id: 6 }], 'bbox')).toThrow(/Result 1 is for image 6/);
    expect(() => new CocoEval(tiny, [good, { ...good, score: NaN }], 'bbox')).toThrow(DatasetError);
    expect(() => new CocoEval(tiny, [good, { ...good, bbox: [0, 0] }], 'bbox')).toThrow(/Result 1 needs a bbox/);
    expect(() => new CocoEval(tiny, [{ image_id: 5, category_id: 3, score: 1 }], 'bbox')).toThrow(/Result 0 has no bbox/);
    const mask = { image_id: 5, category_id: 3, score: 1, segmentation: { size: [10, 10] as [number, number], counts: 'a' } };
    expect(() => new CocoEval(tiny, [mask], 'segm')).toThrow(/Result 0: .*truncated/);
  });

  describe.skipIf(!folder)('against the golden numbers', () => {
    const instances = () => [read<CocoDataset>('gt_instances.json'), read<CocoResult[]>('dt_instances.json')] as const;
    const keypoints = () => [read<CocoDataset>('gt_keypoints.json'), read<CocoResult[]>('dt_keypoints.json')] as const;

    const arrays = (type: IouType, gt: CocoDataset, dt: CocoResult[], tolerance: number) => {
      const ours = new CocoEval(gt, dt, type).run();
      const expected = readArrays(join(folder!, `data/cocoeval/arrays_${type}.safetensors`));
      expect(ours.shape).toEqual(expected['precision']!.shape);
      expect([...ours.parameters.iouThresholds]).toEqual([...expected['iouThrs']!.data]);
      expect([...ours.parameters.recallThresholds]).toEqual([...expected['recThrs']!.data]);
      expect(ours.parameters.categoryIds).toEqual([...expected['catIds']!.data]);
      expect(ours.parameters.areaRanges.flatMap((r) => [r.low, r.high])).toEqual([...expected['areaRng']!.data]);
      for (const name of ['precision', 'recall', 'scores'] as const) {
        let worst = 0;
        expected[name]!.data.forEach((v, i) => (worst = Math.max(worst, Math.abs(v - ours[name][i]!))));
        expect(worst, name).toBeLessThanOrEqual(tolerance);
      }
    };

    it('equals the box arrays exactly', () => {
      const [gt, dt] = instances();
      arrays('bbox', gt, without(dt, 'segmentation'), 0);
    });

    it('equals the mask arrays exactly', () => {
      const [gt, dt] = instances();
      arrays('segm', gt, without(dt, 'bbox'), 0);
    });

    it('equals the keypoint arrays', () => {
      const [gt, dt] = keypoints();
      arrays('keypoints', gt, dt, 1e-12);
    });

    it('equals every summary', () => {
      const expected =
        read<Record<string, { stats: number[]; imgIds: number[]; catIds: number[]; sigmas: number[] }>>('expected.json');
      const [gt, dt] = instances();
      const boxes = without(dt, 'segmentation');
      const check = (name: string, type: IouType, results: CocoResult[], o: EvaluationOptions = {}, limit?: number, truth = gt) =>
        close(summarize(new CocoEval(truth, results, type, o).run(), limit).stats, expected[name]!.stats, 1e-12);
      check('bbox', 'bbox', boxes);
      check('segm', 'segm', without(dt, 'bbox'));
      check('segm_dets_with_bbox', 'segm', dt);
      check('bbox_use_cats_0', 'bbox', boxes, { useCategories: false });
      check('bbox_image_subset', 'bbox', boxes, { imageIds: expected['bbox_image_subset']!.imgIds });
      check('bbox_category_subset', 'bbox', boxes, { categoryIds: expected['bbox_category_subset']!.catIds });
      check('bbox_maxdets_1_10_300_d2', 'bbox', boxes, { maxDetections: [1, 10, 300] });
      check('bbox_maxdets_2_5_50_plain', 'bbox', boxes, { maxDetections: [2, 5, 50] }, 100);
      const [kgt, kdt] = keypoints();
      check('keypoints', 'keypoints', kdt, {}, undefined, kgt);
      check('keypoints_dets_without_bbox', 'keypoints', without(kdt, 'bbox'), {}, undefined, kgt);
      const sigmas = { keypointSigmas: expected['keypoints_custom_sigmas']!.sigmas };
      check('keypoints_custom_sigmas', 'keypoints', kdt, sigmas, undefined, kgt);
    });

    it('equals the boundary cases', () => {
      type Case = { gt: CocoDataset; dt: CocoResult[]; iouType?: IouType; stats?: number[]; error?: string };
      const cases = Object.entries(read<Record<string, Case>>('boundary.json'));
      expect(cases.length).toBeGreaterThan(10);
      for (const [name, c] of cases) {
        const run = () => summarize(new CocoEval(c.gt, c.dt, c.iouType ?? 'bbox').run()).stats;
        if (c.error) expect(run, name).toThrow(DatasetError);
        else close(run(), c.stats!, 1e-12);
      }
    });

    it('equals the details of single images', () => {
      const [gt, dt] = instances();
      for (const type of ['bbox', 'segm'] as const) {
        const evaluation = new CocoEval(gt, without(dt, type === 'bbox' ? 'segmentation' : 'bbox'), type);
        for (const c of read<Detail[]>(`detail_${type}.json`)) {
          const ours = evaluation.imageEvaluation(c.image_id, c.category_id)!;
          expect(ours.detectionIds).toEqual(c.dtIds);
          expect([...ours.scores]).toEqual(c.dtScores);
          const D = c.dtIds.length;
          const G = c.gtIds.length;
          const file = ours.groundTruthIds;
          for (let t = 0; t < 10; t++) {
            for (let d = 0; d < D; d++) {
              const g = ours.detectionMatches[t * D + d]!;
              expect(g < 0 ? 0 : file[g]).toBe(c.dtMatches[t]![d]);
              expect(ours.detectionIgnored[t * D + d] === 1).toBe(Boolean(c.dtIgnore[t]![d]));
            }
            for (let g = 0; g < G; g++) {
              const d = ours.groundTruthMatches[t * G + file.indexOf(c.gtIds[g]!)]!;
              expect(d < 0 ? 0 : c.dtIds[d]).toBe(c.gtMatches[t]![g]);
            }
          }
          expect(c.gtIds.map((id) => ours.groundTruthIgnored[file.indexOf(id)])).toEqual(c.gtIgnore);
          if (G > 0 && D > 0) close([...ours.ious], c.ious.flat(), 0);
        }
      }
    });

    it('equals the keypoint similarities', () => {
      const evaluation = new CocoEval(...keypoints(), 'keypoints');
      for (const c of read<{ image_id: number; category_id: number; oks: number[][] }[]>('detail_oks.json'))
        close([...evaluation.imageEvaluation(c.image_id, c.category_id)!.ious], c.oks.flat(), 1e-12);
    });
  });
});

interface Detail {
  image_id: number;
  category_id: number;
  dtIds: number[];
  gtIds: number[];
  dtMatches: number[][];
  gtMatches: number[][];
  dtScores: number[];
  gtIgnore: number[];
  dtIgnore: boolean[][];
  ious: number[][];
}
