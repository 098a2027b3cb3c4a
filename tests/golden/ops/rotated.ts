import * as tf from '@tensorflow/tfjs-core';
import { rotatedIou } from '../../../src/ops/rotated/iou.js';
import { batchedRotatedNms, rotatedNms } from '../../../src/ops/rotated/nms.js';
import { rotatedRoiAlign } from '../../../src/ops/rotated/roi_align.js';
import { toNchw, toNhwc } from '../layout.js';
import { NOT_YET, Unsupported } from '../unsupported.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Rotated boxes: pairwise IoU, suppression, RoIAlign with its gradient. */
export const rotated: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    if (view.wants('output')) return pool(view);
    if (view.wants('iou')) {
      const boxes = view.float32('boxes');
      const other = view.owns('boxes2') ? view.float32('boxes2') : boxes;
      return { iou: { shape: [boxes.length / 5, other.length / 5], data: rotatedIou(boxes, other) } };
    }
    if (!view.wants('keep')) throw new Unsupported(NOT_YET);
    const [boxes, scores, threshold] = [view.float32('boxes'), view.float32('scores'), view.required<number>('iou_threshold')];
    const keep = view.owns('idxs')
      ? batchedRotatedNms(boxes, scores, Int32Array.from(view.input('idxs').data), threshold)
      : rotatedNms(boxes, scores, threshold);
    return { keep: { shape: [keep.length], data: keep } };
  },
};

async function pool(view: CaseView): Promise<Record<string, OpsOutput>> {
  const options = {
    outputSize: view.required<[number, number]>('output_size'),
    spatialScale: view.required<number>('spatial_scale'),
    samplingRatio: view.required<number>('sampling_ratio'),
  };
  const f = toNhwc(view.input('features'));
  const features = tf.tensor4d(f.data, f.shape as [number, number, number, number]);
  const values = view.float32('rois');
  const rois = tf.tensor2d(values, [values.length / 6, 6]);
  const run = (x: tf.Tensor): tf.Tensor4D => rotatedRoiAlign(x as tf.Tensor4D, rois, options);
  const out = run(features);
  const g = toNhwc(view.input('grad_output'));
  const dy = tf.tensor(g.data, g.shape);
  const gradient = tf.grad(run)(features, dy);
  const outputs = {
    output: toNchw({ shape: out.shape, data: await out.data() }),
    grad_input: toNchw({ shape: gradient.shape, data: await gradient.data() }),
  };
  tf.dispose([features, rois, out, dy, gradient]);
  return outputs;
}
