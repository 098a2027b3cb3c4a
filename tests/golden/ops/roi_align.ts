import * as tf from '@tensorflow/tfjs-core';
import { roiAlign } from '../../../src/ops/roi_align/roi_align.js';
import { toNchw, toNhwc } from '../layout.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** RoIAlign forward and, where the case has an output gradient, the gradient of the feature map. */
export const roiAlignAdapter: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView) {
    const options = {
      outputSize: view.required<[number, number]>('output_size'),
      spatialScale: view.required<number>('spatial_scale'),
      samplingRatio: view.required<number>('sampling_ratio'),
      aligned: view.required<boolean>('aligned'),
    };
    const f = toNhwc(view.input('features'));
    const features = tf.tensor4d(f.data, f.shape as [number, number, number, number]);
    const wantsShape = view.wants('output_shape');
    const roiData = wantsShape ? new Float32Array(0) : view.float32('rois');
    const rois = tf.tensor2d(roiData, [roiData.length / 5, 5]);
    const run = (x: tf.Tensor): tf.Tensor4D => roiAlign(x as tf.Tensor4D, rois, options);
    const out = run(features);
    const outputs: Record<string, OpsOutput> = {};
    const forward = toNchw({ shape: out.shape, data: await out.data() });
    if (wantsShape) outputs['output_shape'] = { value: forward.shape };
    else outputs['output'] = forward;
    if (view.wants('grad_input')) {
      const g = toNhwc(view.input('grad_output'));
      const gradient = tf.grad((x: tf.Tensor) => run(x))(features, tf.tensor(g.data, g.shape));
      outputs['grad_input'] = toNchw({ shape: gradient.shape, data: await gradient.data() });
      gradient.dispose();
    }
    tf.dispose([features, rois, out]);
    return outputs;
  },
};
