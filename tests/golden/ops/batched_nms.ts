import { batchedNms, nms } from '../../../src/ops/nms/nms.js';
import type { CaseView, OpsAdapter } from './case_view.js';

/** Kept indices; a case without class ids is plain NMS, one without boxes of its own that asks for a count is the empty input. */
export const batchedNmsAdapter: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView) {
    const threshold = view.required<number>('iou_threshold');
    const empty = !view.owns('boxes') && view.wants('keep_len');
    const boxes = empty ? new Float32Array(0) : view.float32('boxes');
    const scores = empty ? new Float32Array(0) : view.float32('scores');
    // Ids of an earlier case belong to its boxes: they count only where the boxes come from there too.
    const grouped =
      !empty &&
      view.has('idxs') &&
      (view.owns('idxs') || !view.owns('boxes')) &&
      view.input('idxs').data.length === scores.length;
    const keep = grouped
      ? batchedNms(boxes, scores, Int32Array.from(view.input('idxs').data), threshold)
      : nms(boxes, scores, threshold);
    return { keep: { shape: [keep.length], data: keep }, keep_len: { value: keep.length } };
  },
};
