import * as tf from '@tensorflow/tfjs-core';
import { assignLevels } from '../../../src/ops/roi_align/levels.js';
import { RoiPooler } from '../../../src/roi_heads/roi_pooler.js';
import { toNchw, toNhwc } from '../layout.js';
import { NOT_YET, Unsupported } from '../unsupported.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Pooling from the level that each box's size calls for, and the levels themselves. */
export const roiPooler: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    if (view.golden.params['min_level'] !== undefined) return levelsOnly(view);
    const empty = view.wants('output_shape');
    const size = view.required<number>('output_size');
    // Without parameters of its own a case has those of the first one: pooling from all levels.
    const scales = (empty ? undefined : (view.golden.params['scales'] as number[])) ?? view.required<number[]>('scales');
    const family = view.family('features');
    const named = /features\.(\d+)/.exec(view.note);
    const names = scales.length === family.length ? family : [named ? `features.${named[1]}` : family[0]];
    const scale = names.length === scales.length ? scales : scales.slice(0, names.length);
    const maps = names.map((n) => toNhwc(view.input(n)));
    const features = Object.fromEntries(
      names.map((n, i) => [n, tf.tensor4d(maps[i].data, maps[i].shape as [number, number, number, number])]),
    );
    const pooler = new RoiPooler({
      inFeatures: names,
      scales: scale,
      outputSize: size,
      samplingRatio: view.required<number>('sampling_ratio'),
      aligned: view.required<string>('pooler_type') === 'ROIAlignV2',
    });
    const boxes = empty ? [] : view.family('boxes').map((n) => view.float32(n));
    const outputs: Record<string, OpsOutput> = {};
    const run = (inputs: tf.Tensor[]): tf.Tensor4D =>
      pooler.forward(Object.fromEntries(names.map((n, i) => [n, inputs[i] as tf.Tensor4D])), boxes);
    const out = pooler.forward(features, boxes);
    if (empty) outputs['output_shape'] = { value: toNchw({ shape: out.shape, data: [] }).shape };
    else outputs['output'] = toNchw({ shape: out.shape, data: await out.data() });
    if (view.wants('levels')) {
      const rois = boxes.map(withoutImage).reduce((a, b) => Float32Array.from([...a, ...b]));
      const levels = assignLevels(rois, -Math.log2(scale[0]), -Math.log2(scale[scale.length - 1]));
      outputs['levels'] = { shape: [levels.length], data: levels };
    }
    const gradients = Object.keys(view.golden.outputs).filter((n) => n.startsWith('grad'));
    if (gradients.length && view.owns('grad_output')) {
      const g = toNhwc(view.input('grad_output'));
      const all = tf.grads((...inputs: tf.Tensor[]) => run(inputs))(
        names.map((n) => features[n]),
        tf.tensor(g.data, g.shape),
      );
      for (const gradient of gradients) {
        const level = Number(/(\d+)$/.exec(gradient)?.[1] ?? 0);
        outputs[gradient] = toNchw({ shape: all[level].shape, data: await all[level].data() });
      }
      tf.dispose(all);
    }
    tf.dispose([features, out]);
    return outputs;
  },
};

/** Boxes [R, 4] as regions [R, 5] of image 0, flat. */
function withoutImage(boxes: Float32Array): Float32Array {
  const rois = new Float32Array((boxes.length / 4) * 5);
  for (let i = 0; i < boxes.length / 4; i++) rois.set(boxes.subarray(i * 4, i * 4 + 4), i * 5 + 1);
  return rois;
}

function levelsOnly(view: CaseView): Record<string, OpsOutput> {
  if (view.param('canonical_box_size') !== 224 || view.param('canonical_level') !== 4)
    throw new Unsupported(`another canonical level is ${NOT_YET}`);
  const levels = assignLevels(
    withoutImage(view.float32('boxes')),
    view.required<number>('min_level'),
    view.required<number>('max_level'),
  );
  return { levels: { shape: [levels.length], data: levels } };
}
