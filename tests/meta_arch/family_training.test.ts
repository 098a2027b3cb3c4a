import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { lossGradients, lossValues } from '../../src/engine/loss_gradients.js';
import { ArgumentError } from '../../src/errors.js';
import { openTraining } from '../golden/models/training_case.js';
import { givenOrder } from '../given_order.js';
import { goldenFolder } from '../golden_folder.js';
import { useDevice } from '../ops/devices.js';
import '../../src/backends/wasm.js';

const folder = goldenFolder();
const relative = (a: number, b: number): number => Math.abs(a - b) / Math.max(Math.abs(b), 1e-12);

describe.skipIf(!folder)('a training step on wasm of', () => {
  beforeAll(() => useDevice('wasm'));

  it.each(['06_panoptic_fpn_R_50_3x', '07_cascade_mask_rcnn_R_50_FPN_3x', '10_retinanet_R_50_FPN_3x'])(
    "%s gives Detectron2's losses and norms, and leaves only the gradients behind",
    async (name) => {
      const { model, samples, train } = await openTraining(`${folder}/models/${name}`);
      const before = tf.memory().numTensors;
      const { losses, gradients } = await lossGradients(model, samples, givenOrder);
      expect(tf.memory().numTensors).toBe(before + gradients.size);
      expect(Object.keys(losses).sort()).toEqual(Object.keys(train.losses).sort());
      for (const [key, wanted] of Object.entries(train.losses)) expect(relative(losses[key], wanted), key).toBeLessThan(1e-4);
      const largest = Math.max(...Object.values(train.grad_l2_norms_iter0));
      for (const [key, gradient] of gradients) {
        const wanted = train.grad_l2_norms_iter0[key];
        const norm = Math.hypot(...(await gradient.data()));
        expect(Math.abs(norm - wanted), key).toBeLessThan(1e-3 * wanted + 1e-6 * largest);
      }
      tf.dispose([...gradients.values()]);
      model.dispose();
    },
  );

  it("region proposals alone give the losses and the gradients of the head that Detectron2's Faster R-CNN of the same weights has", async () => {
    const rpnOnly = ['MODEL.META_ARCHITECTURE=ProposalNetwork'];
    const { model, samples, train } = await openTraining(`${folder}/models/04_faster_rcnn_R_50_FPN_3x`, rpnOnly);
    const before = tf.memory().numTensors;
    const { losses, gradients, metrics } = await lossGradients(model, samples, givenOrder);
    expect(tf.memory().numTensors).toBe(before + gradients.size);
    expect(Object.keys(losses).sort()).toEqual(['loss_rpn_cls', 'loss_rpn_loc']);
    for (const [key, value] of Object.entries(losses)) expect(relative(value, train.losses[key]), key).toBeLessThan(1e-4);
    expect(metrics['rpn/num_pos_anchors']).toBeGreaterThan(0);
    // Nothing but the RPN's losses reaches its head; the trunk learns from the heads on regions too there.
    const head = [...gradients].filter(([name]) => name.startsWith('proposal_generator.'));
    expect(head).toHaveLength(6);
    for (const [key, gradient] of head)
      expect(relative(Math.hypot(...(await gradient.data())), train.grad_l2_norms_iter0[key]), key).toBeLessThan(1e-3);
    expect([...gradients.keys()].some((name) => name.startsWith('backbone.bottom_up.res5'))).toBe(true);
    tf.dispose([...gradients.values()]);
    model.dispose();
  });

  it('a cascade whose pictures have no objects trains the background alone', async () => {
    const { model, samples } = await openTraining(`${folder}/models/07_cascade_mask_rcnn_R_50_FPN_3x`);
    const none = { boxes: new Float32Array(0), classes: new Int32Array(0), masks: [] };
    const empty = samples.map((sample) => ({ ...sample, groundTruth: none }));
    const before = tf.memory().numTensors;
    const { losses, metrics } = await lossValues(model, empty, givenOrder);
    expect([losses.loss_box_reg_stage2, losses.loss_mask]).toEqual([0, 0]);
    expect(losses.loss_cls_stage2).toBeGreaterThan(0);
    expect(metrics['stage2/roi_head/num_fg_samples']).toBe(0);
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  it('a RetinaNet moves its normaliser when it learns, not when it is measured, and keeps it in a checkpoint', async () => {
    const { model, samples } = await openTraining(`${folder}/models/10_retinanet_R_50_FPN_3x`);
    await lossValues(model, samples, givenOrder);
    expect(model.trainingState).toEqual({ lossNormalizer: 100 });
    const { gradients } = await lossGradients(model, samples, givenOrder);
    tf.dispose([...gradients.values()]);
    // 86 and 88 anchors are foreground.
    expect((model.trainingState as { lossNormalizer: number }).lossNormalizer).toBeCloseTo(0.9 * 100 + 0.1 * 174, 10);
    model.restoreTrainingState({ lossNormalizer: 50 });
    const { losses } = await lossValues(model, samples, givenOrder);
    expect(losses.loss_cls).toBeCloseTo((0.44516775 * 107.4) / 50, 4);
    model.dispose();
  });

  it('a panoptic model without semantic maps says what is missing, and leaks nothing', async () => {
    const { model, samples } = await openTraining(`${folder}/models/06_panoptic_fpn_R_50_3x`);
    const before = tf.memory().numTensors;
    const bare = samples.map(({ semantic: _, ...sample }) => sample);
    await expect(lossValues(model, bare, givenOrder)).rejects.toThrow(ArgumentError);
    const wrong = samples.map((sample) => ({ ...sample, semantic: sample.semantic!.map(() => 77) }));
    await expect(lossValues(model, wrong, givenOrder)).rejects.toThrow(/label 77; expected 0 to 3/);
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });
});
