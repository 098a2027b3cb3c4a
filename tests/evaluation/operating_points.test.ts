import { describe, expect, it } from 'vitest';
import type { CocoDataset, CocoResult } from '../../src/data/coco/coco_types.js';
import { CocoEval } from '../../src/evaluation/coco_eval.js';
import { confusionMatrix } from '../../src/evaluation/confusion_matrix.js';
import { operatingPoints } from '../../src/evaluation/operating_points.js';

const box = (x: number) => [x, 0, 4, 4];
const dataset: CocoDataset = {
  images: [{ id: 1, file_name: 'a', height: 10, width: 100 }],
  categories: [
    { id: 9, name: 'dog' },
    { id: 4, name: 'cat' },
  ],
  annotations: [
    { id: 1, image_id: 1, category_id: 4, bbox: box(0), area: 16, iscrowd: 0 },
    { id: 2, image_id: 1, category_id: 4, bbox: box(10), area: 16, iscrowd: 0 },
    { id: 3, image_id: 1, category_id: 9, bbox: box(20), area: 16, iscrowd: 0 },
    { id: 4, image_id: 1, category_id: 4, bbox: [60, 0, 40, 10], area: 400, iscrowd: 1 },
  ],
};
const found = (category_id: number, x: number, score: number): CocoResult => ({ image_id: 1, category_id, bbox: box(x), score });
const results = [found(4, 0, 0.9), found(4, 30, 0.8), found(4, 10, 0.7), found(4, 20, 0.6), found(4, 70, 0.95), found(9, 0, 0.2)];

describe('operatingPoints', () => {
  it('counts by hand', () => {
    const [cat, dog] = operatingPoints(new CocoEval(dataset, results, 'bbox'), 0.75);
    expect(cat).toMatchObject({
      categoryId: 4,
      objects: 2,
      at: { truePositives: 1, falsePositives: 1, falseNegatives: 1, precision: 0.5, recall: 0.5, f1: 0.5 },
    });
    expect(cat!.best).toMatchObject({ threshold: 0.7, precision: 2 / 3, recall: 1, f1: 0.8 });
    expect(dog).toMatchObject({
      categoryId: 9,
      objects: 1,
      at: { recall: 0, falseNegatives: 1, f1: 0 },
      best: { threshold: 0.2, f1: 0 },
    });
    expect(dog!.at.precision).toBeNaN();
  });
});

describe('confusionMatrix', () => {
  it('counts right, wrong class, false alarms and misses by hand', () => {
    // Rows cat, dog, background: the cat at 20 is the dog; the cat at 30 is nothing; the one on the crowd does not count.
    expect(confusionMatrix(dataset, results, 'bbox', { threshold: 0.5 })).toEqual({
      categoryIds: [4, 9],
      counts: [
        [2, 0, 0],
        [1, 0, 0],
        [1, 0, 0],
      ],
    });
    expect(confusionMatrix(dataset, results, 'bbox', { threshold: 0.85 }).counts).toEqual([
      [1, 0, 1],
      [0, 0, 1],
      [0, 0, 0],
    ]);
    expect(confusionMatrix(dataset, [], 'bbox', { threshold: 0 }).counts[0]).toEqual([0, 0, 2]);
  });
});
