import { clipBox, isLargerThan } from '../../../src/rpn/find_top_proposals.js';
import { boxAreas, pairwiseIoa, pairwiseIou } from '../../../src/structures/pairwise_iou.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Overlaps of boxes, clipping, areas, empty boxes. */
export const pairwiseIouAdapter: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    if (view.wants('iou')) {
      const [a, b] = [view.float32('boxes1'), view.float32('boxes2')];
      const shape = [a.length / 4, b.length / 4];
      return { iou: { shape, data: pairwiseIou(a, b) }, ioa: { shape, data: pairwiseIoa(a, b) } };
    }
    const boxes = view.float32('boxes');
    const count = boxes.length / 4;
    const size = [view.required<number>('height'), view.required<number>('width')] as const;
    const clipped = boxes.slice();
    for (let i = 0; i < count; i++) clipBox(clipped, i * 4, size);
    const nonempty = (threshold: number): Uint8Array =>
      Uint8Array.from({ length: count }, (_, i) => Number(isLargerThan(clipped, i * 4, threshold)));
    return {
      clipped: { shape: [count, 4], data: clipped },
      nonempty: { shape: [count], data: nonempty(0) },
      nonempty_8: { shape: [count], data: nonempty(8) },
      area: { shape: [count], data: boxAreas(clipped) },
    };
  },
};
