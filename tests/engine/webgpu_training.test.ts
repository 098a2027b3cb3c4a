import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { lossGradients } from '../../src/engine/loss_gradients.js';
import { optimizerFromConfig } from '../../src/engine/solver/optimizer.js';
import { giveStartWeights } from '../../src/engine/start_weights.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { SMALLEST_CONFIG } from '../cli/tiny_data.js';
import { useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';

const here = process.env.MASKRCNN_TEST_DEVICES?.split(',').includes('webgpu') === true;
const reason = here ? '' : ' (skipped: `npm run test:webgpu` runs it, with a Vulkan driver)';

/** A red square on gray. */
const sample: TrainingSample = {
  data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 64, Math.floor(i / 192)];
    return x >= 8 && x < 40 && y >= 8 && y < 40 && i % 3 === 2 ? 230 : 90;
  }),
  height: 64,
  width: 64,
  imageId: 1,
  fileName: '1.png',
  groundTruth: {
    boxes: Float32Array.of(8, 8, 40, 40),
    classes: Int32Array.of(0),
    masks: [{ kind: 'polygons', polygons: [Float64Array.of(8, 8, 40, 8, 40, 40, 8, 40)] }],
  },
};

/** Trains a very small Mask R-CNN on one picture. @returns the losses of every step */
async function train(device: string, steps: number): Promise<Record<string, number>[]> {
  await useDevice(device);
  const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', ['SOLVER.BASE_LR=0.002', 'MODEL.ROI_HEADS.NUM_CLASSES=2']);
  const model = buildModel(config);
  giveStartWeights(model.modelParameters(), undefined, new Random(1));
  const optimizer = optimizerFromConfig(config, model.modelParameters());
  const losses: Record<string, number>[] = [];
  for (let step = 0; step < steps; step++) {
    const found = await lossGradients(model, [sample], new Random(2));
    optimizer.step(found.gradients, 1);
    tf.dispose([...found.gradients.values()]);
    losses.push(found.losses);
  }
  optimizer.dispose();
  model.dispose();
  return losses;
}

const total = (losses: Record<string, number>): number => Object.values(losses).reduce((a, b) => a + b, 0);

describe.skipIf(!here)(`training on webgpu${reason}`, () => {
  let losses: Record<string, number>[];
  beforeAll(async () => {
    await useDevice('webgpu');
    tf.env().set('MASKRCNN_DETERMINISTIC', true);
    losses = await train('webgpu', 6);
  });
  afterAll(() => tf.env().set('MASKRCNN_DETERMINISTIC', false));

  it("begins with cpu's losses, and brings them down", async () => {
    const [wanted] = await train('cpu', 1);
    expect(Object.keys(losses[0]!).sort()).toEqual(Object.keys(wanted!).sort());
    for (const [name, value] of Object.entries(wanted!))
      expect(Math.abs(losses[0]![name]! - value) / Math.max(Math.abs(value), 1e-6), name).toBeLessThan(1e-4);
    for (const step of losses) for (const value of Object.values(step)) expect(Number.isFinite(value)).toBe(true);
    expect(total(losses[5]!)).toBeLessThan(0.9 * total(losses[0]!));
  });

  it('repeats itself to the last bit with MASKRCNN_DETERMINISTIC', async () => {
    expect(await train('webgpu', 3)).toEqual(losses.slice(0, 3));
  });
});
