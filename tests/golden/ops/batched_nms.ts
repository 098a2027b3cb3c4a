import * as tf from '@tensorflow/tfjs-core';
import { batchedNmsOnDevice, readKept } from '../../../src/ops/nms/batched_nms.js';
import type { CaseView, OpsAdapter } from './case_view.js';

/** Kept indices; a case without class ids is plain NMS, one without boxes of its own that asks for a count is the empty input. */
export const batchedNmsAdapter: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView) {
    const iouThreshold = view.required<number>('iou_threshold');
    const empty = !view.owns('boxes') && view.wants('keep_len');
    const values = empty ? new Float32Array(0) : view.float32('scores');
    const scores = tf.tensor1d(values);
    const boxes = tf.tensor2d(empty ? new Float32Array(0) : view.float32('boxes'), [values.length, 4]);
    // Ids of an earlier case belong to its boxes: they count only where the boxes come from there too.
    const grouped =
      !empty &&
      view.has('idxs') &&
      (view.owns('idxs') || !view.owns('boxes')) &&
      view.input('idxs').data.length === values.length;
    const groups = grouped ? tf.tensor1d(Int32Array.from(view.input('idxs').data), 'int32') : undefined;
    const kept = batchedNmsOnDevice(boxes, scores, groups, { iouThreshold });
    const keep = await readKept(kept);
    tf.dispose([boxes, scores, kept]);
    groups?.dispose();
    return { keep: { shape: [keep.length], data: keep }, keep_len: { value: keep.length } };
  },
};
