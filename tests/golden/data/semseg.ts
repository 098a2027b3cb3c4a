import { join } from 'node:path';
import sharp from 'sharp';
import { SemanticSegmentationEvaluator } from '../../../src/evaluation/semantic_segmentation.js';
import { compareNumbers, compareValues, type Line } from '../compare.js';
import { readJson } from './json_file.js';

interface Expected {
  classes: string[];
  ignore_label: number;
  n_images: number;
  confusion_rows_pred_cols_gt: number[][];
  boundary_confusion_rows_pred_cols_gt?: number[][];
  results: Record<string, number | 'NaN'>;
}

/** Confusion matrices and the numbers of semantic segmentation. */
export async function runSemseg(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const expected = readJson<Expected>(folder, 'expected.json');
  const evaluator = new SemanticSegmentationEvaluator({ classNames: expected.classes, ignoreLabel: expected.ignore_label });
  const read = (kind: string, i: number) =>
    sharp(join(folder, kind, `${i}.png`))
      .toColourspace('b-w')
      .raw()
      .toBuffer({ resolveWithObject: true });
  for (let i = 0; i < expected.n_images; i++) {
    const [found, truth] = [await read('pred', i), await read('gt', i)];
    evaluator.add(found.data, truth.data, truth.info.height, truth.info.width);
  }
  const matrix = (name: string, actual: Float64Array, golden: number[][] | undefined): void => {
    if (golden) add(compareNumbers({ case: caseName, name }, actual, golden.flat(), { abs: 0 }));
  };
  matrix('confusion', evaluator.confusion, expected.confusion_rows_pred_cols_gt);
  matrix('boundary_confusion', evaluator.boundaryConfusion, expected.boundary_confusion_rows_pred_cols_gt);
  add(compareValues({ case: caseName, name: 'results' }, evaluator.evaluate(), expected.results, { abs: 1e-10 }));
}
