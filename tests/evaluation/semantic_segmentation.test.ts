import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../src/errors.js';
import { SemanticSegmentationEvaluator } from '../../src/evaluation/semantic_segmentation.js';
import { goldenFolder } from '../golden_folder.js';

const folder = goldenFolder();

describe('SemanticSegmentationEvaluator', () => {
  it('computes a 2 x 2 image by hand', () => {
    const evaluator = new SemanticSegmentationEvaluator({ classNames: ['a', 'b', 'c'], boundaries: false });
    evaluator.add([0, 0, 1, 1], [0, 1, 1, 255], 2, 2);
    const r = evaluator.evaluate();
    expect(r['IoU-a']).toBe(50);
    expect(r['IoU-b']).toBe(50);
    expect(r['IoU-c']).toBeNaN();
    expect(r['mIoU']).toBe(50);
    expect(r['ACC-b']).toBe(50);
    expect(r['pACC']).toBeCloseTo(200 / 3, 10);
    expect(r['fwIoU']).toBeCloseTo(50, 10);
    expect(r).not.toHaveProperty('BoundaryIoU-a');
  });

  it('refuses labels that are no class', () => {
    const evaluator = new SemanticSegmentationEvaluator({ classNames: ['a'] });
    expect(() => evaluator.add([1], [0], 1, 1)).toThrow(ArgumentError);
    expect(() => evaluator.add([0], [3], 1, 1)).toThrow(/Label 3 at pixel 0/);
    expect(() => evaluator.add([0], [0, 0], 1, 1)).toThrow(ArgumentError);
  });

  it.skipIf(!folder)('equals the golden numbers', async () => {
    const at = (name: string) => join(folder!, 'data/semseg', name);
    const expected = JSON.parse(readFileSync(at('expected.json'), 'utf8')) as {
      classes: string[];
      ignore_label: number;
      n_images: number;
      confusion_rows_pred_cols_gt: number[][];
      boundary_confusion_rows_pred_cols_gt: number[][];
      results: Record<string, number | 'NaN'>;
    };
    const evaluator = new SemanticSegmentationEvaluator({ classNames: expected.classes, ignoreLabel: expected.ignore_label });
    for (let i = 0; i < expected.n_images; i++) {
      const read = (kind: string) =>
        sharp(at(`${kind}/${i}.png`))
          .toColourspace('b-w')
          .raw()
          .toBuffer({ resolveWithObject: true });
      const [p, t] = [await read('pred'), await read('gt')];
      evaluator.add(p.data, t.data, t.info.height, t.info.width);
    }
    expect([...evaluator.confusion]).toEqual(expected.confusion_rows_pred_cols_gt.flat());
    expect([...evaluator.boundaryConfusion]).toEqual(expected.boundary_confusion_rows_pred_cols_gt.flat());
    const ours = evaluator.evaluate();
    expect(Object.keys(ours)).toEqual(Object.keys(expected.results));
    for (const [name, value] of Object.entries(expected.results))
      if (value === 'NaN') expect(ours[name], name).toBeNaN();
      else expect(Math.abs(ours[name]! - value), name).toBeLessThanOrEqual(1e-10);
  });
});
