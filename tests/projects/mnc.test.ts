import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MncHeads, registerMnc } from '../../projects/mnc/mnc_heads.js';
import { asCascade, countParameters } from '../../projects/mnc/same_size.js';
import { getConfig } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { lossGradients } from '../../src/engine/loss_gradients.js';
import { initializeWeights } from '../../src/layers/weight_init.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import type { GeneralizedRcnn } from '../../src/meta_arch/generalized_rcnn.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { TINY_CONFIG } from '../cli/tiny_data.js';
import { givenOrder } from '../given_order.js';
import { devices, useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';
import '../../src/backends/wasm.js';

const folder = mkdtempSync(join(tmpdir(), 'mnc-'));
const take = registerMnc();
let model: GeneralizedRcnn;
let heads: MncHeads;

const file = join(folder, 'mnc.yaml');
writeFileSync(file, TINY_CONFIG);
const OVERRIDES = ['MODEL.ROI_HEADS.NUM_CLASSES=2', 'MODEL.ROI_HEADS.NAME=MNCHeads', 'MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION=14'];
afterAll(() => {
  take();
  rmSync(folder, { recursive: true });
});

const sample = (): TrainingSample => {
  const random = new Random(5);
  const outline = { kind: 'polygons' as const, polygons: [Float64Array.of(10, 12, 40, 12, 40, 44, 10, 44)] };
  return {
    ...{ data: Uint8Array.from({ length: 64 * 64 * 3 }, () => random.integer(256)), height: 64, width: 64 },
    ...{ imageId: 1, fileName: 'noise.png' },
    groundTruth: { boxes: Float32Array.of(10, 12, 40, 44), classes: Int32Array.of(1), masks: [outline] },
  };
};

describe.each(devices)('multi-task network cascades on %s', (device) => {
  beforeAll(async () => {
    await useDevice(device);
    model = buildModel(getConfig(file, OVERRIDES)) as GeneralizedRcnn;
    heads = model.options.roiHeads as MncHeads;
    const random = new Random(3);
    initializeWeights(model.modelParameters(), () => random.next());
    // Boxes that keep still are the foreground of the second round too.
    const moves = heads.modelParameters().find(({ name }) => name === 'box_predictor.bbox_pred.weight')!;
    moves.set((await moves.get()).fill(0));
  });
  afterAll(() => model.dispose());

  it('give a mask of twice the side, scores and deltas a region; nothing is left behind', () => {
    const pooled = tf.ones<tf.Rank.R4>([3, 14, 14, 32]);
    const before = tf.memory().numTensors;
    const { maskLogits, logits, deltas } = heads.round(pooled);
    expect([maskLogits.shape, logits.shape, deltas.shape]).toEqual([[3, 28, 28, 1], [3, 3], [3, 4]]); // prettier-ignore
    tf.dispose([maskLogits, logits, deltas]);
    expect(tf.memory().numTensors).toBe(before);
    pooled.dispose();
  });

  it('train all stages jointly: what classifies reaches the mask stage, with the gradient of finite differences', async () => {
    const random = new Random(9);
    const pooled = tf.tensor4d(Float32Array.from({ length: 2 * 196 * 32 }, () => random.normal()), [2, 14, 14, 32]); // prettier-ignore
    const weight = heads.modelParameters().find(({ name }) => name === 'mask_stage.predictor.bias')!;
    const f = (): tf.Scalar => tf.tidy(() => tf.sum(tf.square(heads.round(pooled).logits)));
    const { value, grads } = tf.variableGrads(f, [weight.variable as tf.Variable]);
    const gradient = (await Object.values(grads)[0].data()) as Float32Array;
    const start = await weight.get();
    const at = async (index: number, step: number): Promise<number> => {
      weight.set(start.map((v, i) => (i === index ? v + step : v)));
      const moved = f();
      const [result] = await moved.data();
      moved.dispose();
      return result;
    };
    const largest = gradient.reduce((best, v, i) => (Math.abs(v) > Math.abs(gradient[best]) ? i : best), 0);
    for (const index of [largest, 0, 100]) {
      const difference = ((await at(index, 0.05)) - (await at(index, -0.05))) / 0.1;
      expect(Math.abs(difference - gradient[index])).toBeLessThan(0.02 * Math.abs(gradient[largest]));
    }
    expect(Math.abs(gradient[largest])).toBeGreaterThan(0);
    weight.set(start);
    tf.dispose([pooled, value, ...Object.values(grads)]);
  });

  it('have losses that begin at a coin toss in both rounds, counts of each, gradients for every weight, and leave nothing else', async () => {
    const last = heads.modelParameters().find(({ name }) => name === 'mask_stage.predictor.weight')!;
    last.set((await last.get()).fill(0));
    const before = tf.memory().numTensors;
    let counts: Readonly<Record<string, number>> = {};
    const weigh = (names: readonly string[], of: Readonly<Record<string, number>>) => {
      counts = of;
      return Object.fromEntries(names.map((name) => [name, 1]));
    };
    const { losses, gradients } = await lossGradients(model, [sample()], givenOrder, { weigh });
    expect(tf.memory().numTensors).toBe(before + gradients.size);
    const ofRound = (round: number) => ['loss_box_reg', 'loss_cls', 'loss_mask'].map((name) => `${name}_stage${round}`);
    expect(Object.keys(losses).sort()).toEqual([...ofRound(0), ...ofRound(1), 'loss_rpn_cls', 'loss_rpn_loc'].sort());
    expect(Object.keys(counts).sort()).toEqual([...ofRound(0), ...ofRound(1)].sort());
    expect(counts.loss_cls_stage0).toBe(16);
    for (const round of [0, 1]) {
      expect(losses[`loss_mask_stage${round}`]).toBeCloseTo(Math.log(2), 6);
      expect(counts[`loss_mask_stage${round}`]).toBeGreaterThan(0);
      expect(counts[`loss_mask_stage${round}`]).toBeLessThanOrEqual(counts[`loss_cls_stage${round}`]);
    }
    for (const part of ['mask_stage.predictor', 'box_path', 'mask_path', 'box_predictor.cls_score']) {
      const values = await gradients.get(`roi_heads.${part}.weight`)!.data();
      expect(
        values.some((v) => v !== 0),
        part,
      ).toBe(true);
    }
    tf.dispose([...gradients.values()]);
  });

  it('what the second round learns reaches the layer that moved its boxes', async () => {
    const random = new Random(4);
    const last = heads.modelParameters().find(({ name }) => name === 'mask_stage.predictor.weight')!;
    last.set((await last.get()).map(() => random.normal() * 0.05));
    // Only the masks of the second round count: without the boxes' gradient they would not depend on the box layer at all.
    const weigh = (names: readonly string[]) =>
      Object.fromEntries(names.map((name) => [name, name === 'loss_mask_stage1' ? 1 : 0]));
    const { gradients } = await lossGradients(model, [sample()], givenOrder, { weigh });
    const ofBoxes = await gradients.get('roi_heads.box_predictor.bbox_pred.bias')!.data();
    expect(ofBoxes).toHaveLength(4);
    expect(ofBoxes.every((v) => Number.isFinite(v) && v !== 0)).toBe(true);
    tf.dispose([...gradients.values()]);
  });

  it('detect: a mask of probabilities for every box', async () => {
    const last = heads.modelParameters().find(({ name }) => name === 'mask_stage.predictor.weight')!;
    last.set((await last.get()).fill(0));
    const before = tf.memory().numTensors;
    const { instances } = await model.infer([sample()]);
    expect(tf.memory().numTensors).toBe(before);
    const [{ scores, masks }] = instances;
    expect(masks!.size).toBe(28);
    expect(masks!.probabilities).toHaveLength(scores.length * 28 * 28);
    expect(scores.length).toBeGreaterThan(0);
    expect(masks!.probabilities.every((p) => p === 0.5)).toBe(true);
  });
});

describe('same size', () => {
  it('the heads are as wide as makes the number of parameters that of the Mask R-CNN', async () => {
    await useDevice('cpu');
    const maskRcnn = getConfig(fileURLToPath(new URL('../../projects/mnc/demo.yaml', import.meta.url)));
    const config = asCascade(maskRcnn);
    expect(maskRcnn.MODEL.ROI_HEADS.NAME).toBe('StandardROIHeads');
    const [wanted, found] = [countParameters(maskRcnn), countParameters(config)];
    expect(Math.abs(found - wanted)).toBeLessThan(0.001 * wanted);
  });
});
