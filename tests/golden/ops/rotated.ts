import * as tf from '@tensorflow/tfjs-core';
import { readKept } from '../../../src/ops/nms/batched_nms.js';
import { readBack } from '../../../src/ops/read_back.js';
import { batchedRotatedNmsOnDevice, rotatedIouOnDevice } from '../../../src/ops/rotated/boxes_on_device.js';
import { rotatedRoiAlign } from '../../../src/ops/rotated/roi_align.js';
import { toNchw, toNhwc } from '../layout.js';
import { NOT_YET, Unsupported } from '../unsupported.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Rotated boxes: pairwise IoU, suppression, RoIAlign with its gradient. */
export const rotated: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    if (view.wants('output')) return pool(view);
    if (view.wants('iou')) return { iou: await overlaps(view) };
    if (!view.wants('keep')) throw new Unsupported(NOT_YET);
    return { keep: await suppress(view) };
  },
};

async function overlaps(view: CaseView): Promise<OpsOutput> {
  const boxes = boxesOf(view, 'boxes');
  const other = view.owns('boxes2') ? boxesOf(view, 'boxes2') : boxes.clone();
  const iou = rotatedIouOnDevice(boxes, other);
  const output = { shape: iou.shape, data: await readBack(iou) };
  tf.dispose([boxes, other, iou]);
  return output;
}

async function suppress(view: CaseView): Promise<OpsOutput> {
  const [boxes, scores] = [boxesOf(view, 'boxes'), tf.tensor1d(view.float32('scores'))];
  const groups = view.owns('idxs') ? tf.tensor1d(Int32Array.from(view.input('idxs').data), 'int32') : undefined;
  const kept = batchedRotatedNmsOnDevice(boxes, scores, groups, { iouThreshold: view.required<number>('iou_threshold') });
  const keep = await readKept(kept);
  tf.dispose([boxes, scores, kept]);
  groups?.dispose();
  return { shape: [keep.length], data: keep };
}

const boxesOf = (view: CaseView, name: string): tf.Tensor2D => {
  const values = view.float32(name);
  return tf.tensor2d(values, [values.length / 5, 5]);
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
