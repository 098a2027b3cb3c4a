import { Matcher } from '../../../src/rpn/matcher.js';
import type { CaseView, OpsAdapter } from './case_view.js';

/** Matches and labels of a matrix of overlaps. */
export const matcher: OpsAdapter = {
  purpose: 'training',
  async run(view: CaseView) {
    const empty = view.golden.inputs['matrix_shape']?.value as [number, number] | undefined;
    const [rows, columns] = empty ?? view.input('matrix').shape;
    const matrix = empty ? new Float32Array(0) : view.float32('matrix');
    const { matches, labels } = new Matcher({
      thresholds: view.required<number[]>('thresholds'),
      labels: view.required<number[]>('labels'),
      allowLowQualityMatches: view.required<boolean>('allow_low_quality_matches'),
    }).match(rows, columns, (row, out) => out.set(matrix.subarray(row * columns, (row + 1) * columns)));
    return { matches: { shape: [columns], data: matches }, labels: { shape: [columns], data: labels } };
  },
};
