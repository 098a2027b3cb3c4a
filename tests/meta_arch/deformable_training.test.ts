import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadCheckpoint } from '../../src/checkpoint/load.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { getConfig } from '../../src/config/index.js';
import { lossGradients, lossValues } from '../../src/engine/loss_gradients.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import type { MetaArchitecture } from '../../src/meta_arch/meta_architecture.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { givenOrder } from '../given_order.js';
import { openTraining } from '../golden/models/training_case.js';
import { goldenFolder } from '../golden_folder.js';
import { devices, useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';
import '../../src/backends/wasm.js';

const OFFSETS = /\.conv2_offset\.(weight|bias)$/;
const models = `${goldenFolder()}/models`;

// Detectron2 has no backward pass of it on a CPU, so the judge is the slope of the loss itself.
describe.skipIf(!goldenFolder()).each(devices)("Detectron2's deformable model on %s", (device) => {
  let samples: TrainingSample[];
  let sampling: string[];
  beforeAll(async () => {
    await useDevice(device);
    // A picture and objects of another case, and its numbers of anchors and proposals, which leave none out: this one has none for training.
    const { model, cfg, samples: both } = await openTraining(join(models, '01_mask_rcnn_R_50_FPN_3x'));
    samples = both.slice(0, 1);
    sampling = ['RPN', 'ROI_HEADS'].map(
      (key) => `MODEL.${key}.BATCH_SIZE_PER_IMAGE=${cfg.MODEL[key as 'RPN' | 'ROI_HEADS'].BATCH_SIZE_PER_IMAGE}`,
    );
    model.dispose();
  });

  async function open(...overrides: string[]): Promise<MetaArchitecture> {
    const folder = join(models, '12_mask_rcnn_R_50_FPN_1x_dconv_c3-c5');
    const model = buildModel(getConfig(join(folder, 'config.yaml'), [...sampling, ...overrides]));
    loadCheckpoint(await readCheckpoint(join(folder, 'model_final.pkl')), model.modelParameters());
    return model;
  }

  it('has a gradient of every weight that trains', async () => {
    const model = await open();
    const before = tf.memory().numTensors;
    const { gradients } = await lossGradients(model, samples, givenOrder);
    expect(tf.memory().numTensors).toBe(before + gradients.size);
    const trained = model.modelParameters().filter(({ trainable }) => trainable);
    expect([...gradients.keys()].sort()).toEqual(trained.map(({ name }) => name).sort());
    expect(trained.filter(({ name }) => OFFSETS.test(name))).toHaveLength(2 * (4 + 6 + 3));
    for (const [name, gradient] of gradients) {
      const norm = Math.hypot(...(await gradient.data()));
      expect(norm > 0 && Number.isFinite(norm), `${name}: ${norm}`).toBe(true);
    }
    tf.dispose([...gradients.values()]);
    model.dispose();
  });

  it('has the slope of the loss along the weights of its offsets', async () => {
    // Without the heads on regions, whose proposals jump.
    const model = await open('MODEL.META_ARCHITECTURE=ProposalNetwork');
    const total = (losses: Record<string, number>): number => Object.values(losses).reduce((a, b) => a + b);
    const { gradients } = await lossGradients(model, samples, givenOrder);
    const offsets = model.modelParameters().filter(({ name }) => OFFSETS.test(name));
    const directions = new Map(offsets.map(({ name }) => [name, gradients.get(name)!]));
    const norms: number[] = [];
    for (const gradient of directions.values()) norms.push(Math.hypot(...(await gradient.data())));
    const norm = Math.hypot(...norms);
    const at = async (step: number): Promise<number> => {
      const kept = offsets.map(({ variable }) => variable.clone());
      for (const { name, variable } of offsets)
        tf.tidy(() => variable.assign(tf.add(variable, tf.mul(directions.get(name)!, step / norm)) as tf.Tensor<tf.Rank>));
      const { losses } = await lossValues(model, samples, givenOrder);
      offsets.forEach(({ variable }, i) => variable.assign(kept[i] as tf.Tensor<tf.Rank>));
      tf.dispose(kept);
      return total(losses);
    };
    // So small that hardly a rectifier changes its side, and 3e-5 of the loss, which has seven digits.
    const step = 0.001;
    const slope = ((await at(step)) - (await at(-step))) / (2 * step);
    expect(Math.abs(slope / norm - 1)).toBeLessThan(0.01);
    tf.dispose([...gradients.values()]);
    model.dispose();
  });
});
