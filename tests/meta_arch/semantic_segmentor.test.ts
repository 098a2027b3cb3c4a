import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadCheckpoint } from '../../src/checkpoint/load.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { getConfig } from '../../src/config/index.js';
import { readImage } from '../../src/data/image_io/read_image.js';
import { networkInput } from '../../src/engine/network_input.js';
import { lossGradients } from '../../src/engine/loss_gradients.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import { givenOrder } from '../given_order.js';
import { openTraining } from '../golden/models/training_case.js';
import { goldenFolder } from '../golden_folder.js';
import { devices, useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';
import '../../src/backends/wasm.js';

const folder = `${goldenFolder()}/models/06_panoptic_fpn_R_50_3x`;
const ALONE = ['MODEL.META_ARCHITECTURE=SemanticSegmentor'];
const relative = (a: number, b: number): number => Math.abs(a - b) / Math.max(Math.abs(b), 1e-12);

// The semantic branch of Detectron2's panoptic model is a semantic model: the heads on regions do not reach it.
describe.skipIf(!goldenFolder()).each(devices)("a semantic model with Detectron2's weights on %s", (device) => {
  beforeAll(() => useDevice(device));

  it('gives its logits, and its class of every pixel of the picture', async () => {
    const cfg = getConfig(join(folder, 'config.yaml'), ALONE);
    const { tensors } = await readSafetensors(join(folder, 'golden.safetensors'));
    const { tensors: entries } = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as {
      tensors: Record<string, { atol: number }>;
    };
    const model = buildModel(cfg);
    loadCheckpoint(await readCheckpoint(join(folder, 'model_final.pkl')), model.modelParameters());
    model.fold();
    const image = await readImage(join(folder, 'inputs/0.png'), { format: 'RGB' });
    const input = networkInput(image, cfg);
    const before = tf.memory().numTensors;
    let logits: tf.Tensor | undefined;
    const { semantic, instances } = await model.infer([input], {
      outputSizes: [[image.height, image.width]],
      trace: (name, tensor) => {
        if (name === 'sem_seg_logits') logits = tf.keep(tf.transpose(tensor as tf.Tensor4D, [0, 3, 1, 2]));
      },
    });
    const wanted = tensors.get('single.sem_seg_logits')!;
    expect(logits!.shape).toEqual(wanted.shape);
    const [ours, theirs] = [await logits!.data<'float32'>(), wanted.toFloat32()];
    logits!.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const worst = ours.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i]!)), 0);
    expect(worst).toBeLessThanOrEqual(entries['single.sem_seg_logits']!.atol);
    expect([...semantic![0]!.labels]).toEqual([...tensors.get('single.sem_seg_argmax.0')!.toFloat32()]);
    expect(instances[0]!.scores).toHaveLength(0);
    model.dispose();
  });

  it('gives its loss, and the gradients of the branch', async () => {
    const { model, samples, train } = await openTraining(folder, ALONE);
    const { losses, gradients } = await lossGradients(model, samples, givenOrder);
    expect(Object.keys(losses)).toEqual(['loss_sem_seg']);
    expect(relative(losses['loss_sem_seg']!, train.losses['loss_sem_seg']!)).toBeLessThan(1e-4);
    const branch = [...gradients].filter(([name]) => name.startsWith('sem_seg_head.'));
    expect(branch.length).toBe(Object.keys(train.grad_l2_norms_iter0).filter((name) => name.startsWith('sem_seg_head.')).length);
    for (const [name, gradient] of branch)
      expect(relative(Math.hypot(...(await gradient.data())), train.grad_l2_norms_iter0[name]!), name).toBeLessThan(1e-3);
    tf.dispose([...gradients.values()]);
    model.dispose();
  });
});
