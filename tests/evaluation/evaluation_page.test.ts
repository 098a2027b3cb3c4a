import { describe, expect, it } from 'vitest';
import type { CocoDataset, CocoResult } from '../../src/data/coco/coco_types.js';
import { CocoEval } from '../../src/evaluation/coco_eval.js';
import { evaluationPage } from '../../src/evaluation/evaluation_page.js';
import { evaluationReport } from '../../src/evaluation/evaluation_report.js';
import { precisionRecallCurves } from '../../src/evaluation/precision_recall_curves.js';
import { worstImages } from '../../src/evaluation/worst_images.js';

const box = (id: number, image_id: number, category_id: number, x: number, iscrowd = 0) => ({
  id,
  image_id,
  category_id,
  bbox: [x, 0, 4, 4],
  area: 16,
  iscrowd,
});
const dataset: CocoDataset = {
  images: [1, 2, 3].map((id) => ({ id, file_name: `<b>${id}.png`, width: 100, height: 10 })),
  categories: [
    { id: 1, name: 'cat' },
    { id: 2, name: '</script><i>' },
  ],
  annotations: [box(1, 1, 1, 0), box(2, 1, 2, 20), box(3, 2, 1, 0), box(4, 2, 1, 20, 1), box(5, 3, 1, 0)],
};
const found = (image_id: number, category_id: number, x: number, score: number): CocoResult => ({
  image_id,
  category_id,
  bbox: [x, 0, 4, 4],
  score,
});
const results = [
  found(1, 1, 0, 0.9),
  found(1, 1, 20, 0.8),
  found(1, 1, 60, 0.7),
  found(1, 1, 80, 0.2),
  found(2, 1, 20, 0.9),
  found(3, 1, 0, 0.9),
];

describe('worstImages', () => {
  it('counts by hand, worst first, without images that are right', () => {
    const worst = worstImages(dataset, results, 'bbox', { score: 0.5, iou: 0.5, limit: 5 });
    expect(
      worst.map(({ imageId, right, falseAlarms, missed, confused }) => [imageId, right, falseAlarms, missed, confused]),
    ).toEqual([
      [1, 1, 1, 0, 1],
      [2, 0, 0, 1, 0],
    ]);
    expect(worst[0]!.objects.map((o) => o.outcome)).toEqual(['found', 'confused']);
    expect(worst[0]!.detections.map((d) => d.outcome)).toEqual(['right', 'confused', 'false']);
    expect(worst[1]!.objects.map((o) => o.outcome)).toEqual(['missed', 'crowd']);
    expect(worst[1]!.detections.map((d) => d.outcome)).toEqual(['ignored']);
    expect(worstImages(dataset, results, 'bbox', { score: 0.5, iou: 0.5, limit: 1 })).toHaveLength(1);
  });
});

describe('precisionRecallCurves', () => {
  it('gives the curves of COCO’s arrays', () => {
    const curves = precisionRecallCurves(new CocoEval(dataset, results, 'bbox').run());
    expect(curves.recall[50]).toBe(0.5);
    expect(Object.keys(curves.mean)).toEqual(['0.50', '0.75', '0.50:0.95']);
    // Cat: two of three found before any false alarm (the one on the crowd does not count); the other class is never found.
    expect(curves.classes[0]!.slice(0, 67)).toEqual(new Array(67).fill(1));
    expect(curves.classes[0]![67]).toBe(0);
    expect(curves.classes[1]).toEqual(new Array(101).fill(0));
    expect(curves.mean['0.50']![10]).toBe(0.5);
    expect(curves.mean['0.50:0.95']![10]).toBe(0.5);
  });
});

describe('evaluationPage', () => {
  it('is whole, and no name can break it', () => {
    const report = evaluationReport(dataset, results);
    const worst = worstImages(dataset, results, 'bbox', { score: 0.5, iou: 0.5, limit: 5 });
    const charts = { script: 'const uPlot = "</script>";', style: '.u{}' };
    const page = evaluationPage(report, {
      title: 'T',
      dataset,
      worst,
      pictures: new Map([[1, 'data:image/png;base64,AA']]),
      charts,
    });
    expect(page.match(/<\/script/g)).toHaveLength(1);
    expect(page).not.toContain('<b>1.png');
    expect(page).toContain('src="data:image/png;base64,AA"');
    expect(page).toContain('1 right, 1 false alarms, 0 missed, 1 of another class');
    expect(page).not.toMatch(/(src|href)="?https?:/);
    const empty = evaluationPage(evaluationReport(dataset, []), { title: 'T', dataset, worst: [], pictures: new Map(), charts });
    expect(empty).toContain('There are no detections to judge.');
  });
});
