import { AnchorGenerator } from '../../../src/rpn/anchor_generator.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Anchors of every level, and the ones of a single cell. */
export const anchors: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView) {
    const generator = new AnchorGenerator({
      sizes: view.required<number[][]>('sizes'),
      aspectRatios: view.required<number[][]>('aspect_ratios'),
      strides: view.required<number[]>('strides'),
      offset: view.required<number>('offset'),
    });
    const outputs: Record<string, OpsOutput> = {};
    view.required<[number, number][]>('grid_sizes').forEach(([height, width], level) => {
      const all = generator.level(level, height, width);
      const cell = generator.cellAnchors[level]!;
      outputs[`anchors.${level}`] = { shape: [all.length / 4, 4], data: all };
      outputs[`cell.${level}`] = { shape: [cell.length / 4, 4], data: cell };
    });
    return outputs;
  },
};
