import { resizeBilinear, resizeShortestEdgeShape } from '../../../src/data/resize/resize.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** ResizeShortestEdge: the output shape and the pixels. */
export const resize: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    if (view.wants('rows')) {
      const expected = view.output('rows');
      const rows = ('value' in expected ? expected.value : []) as number[][];
      return { rows: { value: rows.map((r) => [...r.slice(0, 4), ...resizeShortestEdgeShape(r[0]!, r[1]!, r[2]!, r[3]!)]) } };
    }
    const image = view.input('image');
    const [height, width, channels] = image.shape as [number, number, number];
    const [h, w] = resizeShortestEdgeShape(height, width, view.required<number>('min_size'), view.required<number>('max_size'));
    const data = resizeBilinear({ data: Uint8Array.from(image.data), height, width, channels }, h, w);
    return { image: { shape: [h, w, channels], data } };
  },
};
