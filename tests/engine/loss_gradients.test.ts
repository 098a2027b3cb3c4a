import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { lossGradients, lossValues } from '../../src/engine/loss_gradients.js';
import { DivergenceError } from '../../src/errors.js';
import { openTraining, type TrainingCase } from '../golden/models/training_case.js';
import { givenOrder } from '../given_order.js';
import { goldenFolder } from '../golden_folder.js';
import { devices, useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';
import '../../src/backends/wasm.js';

const folder = goldenFolder();
const relative = (a: number, b: number): number => Math.abs(a - b) / Math.max(Math.abs(b), 1e-12);

describe.skipIf(!folder).each(devices)("a training step on %s, compared with Detectron2's", (device) => {
  let golden: TrainingCase;
  beforeAll(async () => {
    await useDevice(device);
    golden = await openTraining(`${folder}/models/14_mask_rcnn_R_18_FPN`);
  });
  afterAll(() => golden.model.dispose());

  it('gives the losses and the norms of all gradients, and leaves only the gradients behind', async () => {
    const { model, samples, train } = golden;
    const before = tf.memory().numTensors;
    const { losses, metrics, gradients } = await lossGradients(model, samples, givenOrder);
    expect(tf.memory().numTensors).toBe(before + gradients.size);
    expect(Object.keys(losses).sort()).toEqual(Object.keys(train.losses).sort());
    for (const [name, wanted] of Object.entries(train.losses)) expect(relative(losses[name], wanted), name).toBeLessThan(1e-4);
    expect([...gradients.keys()].sort()).toEqual(Object.keys(train.grad_l2_norms_iter0).sort());
    for (const [name, gradient] of gradients) {
      const norm = Math.hypot(...(await gradient.data()));
      expect(relative(norm, train.grad_l2_norms_iter0[name]), name).toBeLessThan(1e-3);
    }
    // The sampled classes of the golden: 145 of 607 regions are foreground.
    expect(metrics['roi_head/num_fg_samples']).toBe(72.5);
    expect(metrics['roi_head/num_bg_samples']).toBe(231);
    expect(metrics['rpn/num_pos_anchors']).toBe(12.5);
    tf.dispose([...gradients.values()]);
  });
});

describe.skipIf(!folder)('losses', () => {
  let golden: TrainingCase;
  beforeAll(async () => {
    await useDevice('wasm');
    golden = await openTraining(`${folder}/models/14_mask_rcnn_R_18_FPN`);
  });
  afterAll(() => golden.model.dispose());

  it('and gradients are the same bit for bit from one seed, and without a tape nearly so', async () => {
    const first = await lossGradients(golden.model, golden.samples, new Random(7));
    const second = await lossGradients(golden.model, golden.samples, new Random(7));
    expect(second.losses).toEqual(first.losses);
    for (const [name, gradient] of first.gradients)
      expect(await second.gradients.get(name)!.data(), name).toEqual(await gradient.data());
    const before = tf.memory().numTensors;
    // Without a tape convolution and bias are one kernel, which rounds in another place.
    const { losses } = await lossValues(golden.model, golden.samples, new Random(7));
    for (const [name, value] of Object.entries(losses)) expect(relative(value, first.losses[name]), name).toBeLessThan(1e-5);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([...first.gradients.values(), ...second.gradients.values()]);
  });

  it('of a batch without objects train the background alone', async () => {
    const empty = golden.samples.map((sample) => ({
      ...sample,
      groundTruth: { boxes: new Float32Array(0), classes: new Int32Array(0), masks: [] },
    }));
    const before = tf.memory().numTensors;
    const { losses, gradients } = await lossGradients(golden.model, empty, givenOrder);
    expect([losses.loss_box_reg, losses.loss_mask, losses.loss_rpn_loc]).toEqual([0, 0, 0]);
    expect(losses.loss_cls).toBeGreaterThan(0);
    const mask = await gradients.get('roi_heads.mask_head.predictor.weight')!.data();
    expect(mask.every((value) => value === 0)).toBe(true);
    tf.dispose([...gradients.values()]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('stop a training that has diverged, without a leak', async () => {
    const bias = golden.model.modelParameters().find(({ name }) => name.endsWith('objectness_logits.bias'))!;
    const old = await bias.get();
    bias.set(Float32Array.from(old, () => NaN));
    const before = tf.memory().numTensors;
    await expect(lossGradients(golden.model, golden.samples, givenOrder)).rejects.toThrow(DivergenceError);
    expect(tf.memory().numTensors).toBe(before);
    bias.set(old);
  });
});
