import * as tf from '@tensorflow/tfjs-core';
import { deformConv2d } from '../../../src/ops/deform_conv/deform_conv.js';
import type { HostTensor } from '../layout.js';
import { toNchw, toNhwc } from '../layout.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Golden weights are [O, C / groups, kh, kw], ours [kh, kw, C / groups, O]. */
function weightTensor(t: HostTensor): tf.Tensor4D {
  return tf.tidy(() =>
    tf.transpose(tf.tensor4d(Float32Array.from(t.data), t.shape as [number, number, number, number]), [2, 3, 1, 0]),
  );
}

/** Deformable convolution, forward and all gradients. */
export const deformConv: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView) {
    const map = (name: string): tf.Tensor4D => {
      const t = toNhwc(view.input(name));
      return tf.tensor4d(t.data, t.shape as [number, number, number, number]);
    };
    const modulated = view.required<boolean>('modulated');
    const options = {
      stride: view.required<number>('stride'),
      padding: view.required<number>('padding'),
      dilation: view.required<number>('dilation'),
      groups: view.required<number>('groups'),
      deformableGroups: view.required<number>('deformable_groups'),
    };
    const bias = view.owns('bias') ? tf.tensor1d(view.float32('bias')) : undefined;
    const inputs = [map('x'), weightTensor(view.input('weight')), map('offset'), ...(modulated ? [map('mask')] : [])];
    const run = ([x, weight, offset, mask]: tf.Tensor[]): tf.Tensor4D =>
      deformConv2d(
        {
          x: x as tf.Tensor4D,
          weight: weight as tf.Tensor4D,
          offset: offset as tf.Tensor4D,
          mask: mask as tf.Tensor4D | undefined,
          bias,
        },
        options,
      );
    const y = run(inputs);
    const outputs: Record<string, OpsOutput> = { y: toNchw({ shape: y.shape, data: await y.data() }) };
    const dy = map('grad_output');
    const gradients = tf.grads((...list: tf.Tensor[]) => run(list))(inputs, dy);
    const [, dWeight] = gradients;
    const stored = tf.transpose(dWeight, [3, 2, 0, 1]);
    outputs['grad_weight'] = { shape: stored.shape, data: await stored.data() };
    for (const [name, i] of [
      ['grad_x', 0],
      ['grad_offset', 2],
      ['grad_mask', 3],
    ] as const) {
      const gradient = gradients[i];
      if (gradient) outputs[name] = toNchw({ shape: gradient.shape, data: await gradient.data() });
    }
    tf.dispose([inputs, y, dy, gradients, stored]);
    bias?.dispose();
    return outputs;
  },
};
