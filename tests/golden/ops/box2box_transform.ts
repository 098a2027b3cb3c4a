import { Box2BoxTransform } from '../../../src/rpn/box_transform.js';
import type { CaseView, OpsAdapter } from './case_view.js';

/** Deltas of box pairs, and boxes from deltas. */
export const box2boxTransform: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView) {
    const transform = new Box2BoxTransform(view.required<number[]>('weights'), Math.fround(view.required<number>('scale_clamp')));
    const source = view.float32('src');
    const getDeltas = transform.getDeltas(source, view.float32('target'));
    const back = transform.applyDeltas(getDeltas, source);
    const { shape } = view.input('deltas');
    return {
      get_deltas: { shape: [source.length / 4, 4], data: getDeltas },
      apply_get: { shape: [source.length / 4, 4], data: back },
      apply: { shape, data: transform.applyDeltas(view.float32('deltas'), source) },
    };
  },
};
