import * as tf from '@tensorflow/tfjs-core';
import { Tape } from '../../../src/autodiff/tape.js';
import { BatchNorm, FrozenBatchNorm, GroupNorm } from '../../../src/layers/norm.js';
import { toNchw, toNhwc } from '../layout.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Frozen batch norm and group norm with their gradients; batch norm that trains, and what it keeps of a batch. */
export const norms: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView) {
    const outputs: Record<string, OpsOutput> = {};
    if (view.golden.params['momentum'] !== undefined) return batchNorm(view);
    const groups = view.golden.params['groups'] as number | undefined;
    if (!view.owns('x')) {
      const channels = (view.output('weight') as { tensor: { shape: number[] } }).tensor.shape[0]!;
      const fresh = new FrozenBatchNorm(channels);
      for (const p of fresh.modelParameters()) outputs[p.name] = { shape: p.shape, data: await p.get() };
      fresh.dispose();
      return outputs;
    }
    const x = toNhwc(view.input('x'));
    const channels = x.shape[3]!;
    const norm = groups === undefined ? new FrozenBatchNorm(channels) : new GroupNorm(channels, groups);
    const parameters = norm.modelParameters();
    for (const p of parameters) p.set(view.float32(p.name));
    const input = tf.tensor4d(x.data, x.shape as [number, number, number, number]);
    const y = norm.forward(input);
    outputs['y'] = toNchw({ shape: y.shape, data: await y.data() });
    if (view.wants('grad_x')) {
      const g = toNhwc(view.input('grad_output'));
      const upstream = tf.tensor(g.data, g.shape);
      const gradient = tf.grad((t: tf.Tensor) => norm.forward(t as tf.Tensor4D))(input, upstream);
      outputs['grad_x'] = toNchw({ shape: gradient.shape, data: await gradient.data() });
      const trained = parameters.filter((p) => view.wants(`grad_${p.name}`));
      if (trained.length) {
        const loss = (): tf.Scalar => tf.sum(tf.mul(norm.forward(input), upstream));
        const { grads } = tf.variableGrads(
          loss,
          trained.map((p) => p.variable),
        );
        for (const p of trained) outputs[`grad_${p.name}`] = { shape: p.shape, data: await grads[p.variable.name]!.data() };
      }
    }
    norm.dispose();
    return outputs;
  },
};

/** One step by the statistics of the batch. */
async function batchNorm(view: CaseView): Promise<Record<string, OpsOutput>> {
  const x = toNhwc(view.input('x'));
  const norm = new BatchNorm(x.shape[3]!);
  const parameters = norm.modelParameters();
  for (const p of parameters) if (view.owns(p.name)) p.set(view.float32(p.name));
  const input = tf.tensor4d(x.data, x.shape as [number, number, number, number]);
  const tape = new Tape();
  const y = tape.record(() => norm.forward(input));
  const outputs: Record<string, OpsOutput> = { y: toNchw({ shape: y.shape, data: await y.data() }) };
  for (const p of parameters) if (view.wants(p.name)) outputs[p.name] = { shape: p.shape, data: await p.get() };
  tape.dispose();
  norm.dispose();
  tf.dispose([input, y]);
  return outputs;
}
