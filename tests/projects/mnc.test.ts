import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MncHeads, registerMnc } from '../../projects/mnc/mnc_heads.js';
import { getConfig } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { lossGradients } from '../../src/engine/loss_gradients.js';
import { initializeWeights } from '../../src/layers/weight_init.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import type { GeneralizedRcnn } from '../../src/meta_arch/generalized_rcnn.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { SMALLEST_CONFIG } from '../cli/tiny_data.js';
import { givenOrder } from '../given_order.js';
import { useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';

const folder = mkdtempSync(join(tmpdir(), 'mnc-'));
const take = registerMnc();
let model: GeneralizedRcnn;
let heads: MncHeads;

beforeAll(async () => {
  await useDevice('cpu');
  const file = join(folder, 'mnc.yaml');
  writeFileSync(file, SMALLEST_CONFIG);
  model = buildModel(getConfig(file, ['MODEL.ROI_HEADS.NAME=MNCHeads', 'MODEL.ROI_HEADS.NUM_CLASSES=2'])) as GeneralizedRcnn;
  heads = model.options.roiHeads as MncHeads;
  const random = new Random(3);
  initializeWeights(model.modelParameters(), () => random.next());
});
afterAll(() => {
  model.dispose();
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

describe('multi-task network cascades', () => {
  it('give a mask of twice the side, scores and deltas a region; nothing is left behind', () => {
    const pooled = tf.ones<tf.Rank.R4>([3, 7, 7, 8]);
    const before = tf.memory().numTensors;
    const { maskLogits, logits, deltas } = heads.stages(pooled);
    expect([maskLogits.shape, logits.shape, deltas.shape]).toEqual([[3, 14, 14, 1], [3, 3], [3, 8]]); // prettier-ignore
    tf.dispose([maskLogits, logits, deltas]);
    expect(tf.memory().numTensors).toBe(before);
    pooled.dispose();
  });

  it('train all stages jointly: what classifies reaches the mask stage, with the gradient of finite differences', async () => {
    const random = new Random(9);
    const pooled = tf.tensor4d(Float32Array.from({ length: 2 * 49 * 8 }, () => random.normal()), [2, 7, 7, 8]); // prettier-ignore
    const weight = heads.modelParameters().find(({ name }) => name === 'mask_stage.predictor.bias')!;
    const f = (): tf.Scalar => tf.tidy(() => tf.sum(tf.square(heads.stages(pooled).logits)));
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

  it('have losses that begin at a coin toss, gradients for every weight, and leave nothing else', async () => {
    const last = heads.modelParameters().find(({ name }) => name === 'mask_stage.predictor.weight')!;
    last.set((await last.get()).fill(0));
    const before = tf.memory().numTensors;
    const { losses, gradients } = await lossGradients(model, [sample()], givenOrder);
    expect(tf.memory().numTensors).toBe(before + gradients.size);
    expect(Object.keys(losses).sort()).toEqual(['loss_box_reg', 'loss_cls', 'loss_mask', 'loss_rpn_cls', 'loss_rpn_loc']);
    expect(losses.loss_mask).toBeCloseTo(Math.log(2), 6);
    for (const part of ['mask_stage.predictor', 'box_path', 'mask_path', 'box_predictor.cls_score']) {
      const values = await gradients.get(`roi_heads.${part}.weight`)!.data();
      expect(
        values.some((v) => v !== 0),
        part,
      ).toBe(true);
    }
    tf.dispose([...gradients.values()]);
  });

  it('detect: a mask of probabilities for every box', async () => {
    const last = heads.modelParameters().find(({ name }) => name === 'mask_stage.predictor.weight')!;
    last.set((await last.get()).fill(0));
    const before = tf.memory().numTensors;
    const { instances } = await model.infer([sample()]);
    expect(tf.memory().numTensors).toBe(before);
    const [{ scores, masks }] = instances;
    expect(masks!.size).toBe(14);
    expect(masks!.probabilities).toHaveLength(scores.length * 14 * 14);
    expect(scores.length).toBeGreaterThan(0);
    expect(masks!.probabilities.every((p) => p === 0.5)).toBe(true);
  });
});
