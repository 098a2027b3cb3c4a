import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { loadCheckpoint } from '../../src/checkpoint/load.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { getConfig } from '../../src/config/index.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import { goldenFolder } from '../golden_folder.js';

const golden = goldenFolder();

describe.skipIf(golden === undefined)('names and shapes of the published models (skipped without the golden folder)', () => {
  const models = join(golden ?? '', 'models');
  afterEach(() => tf.disposeVariables());

  /** The published models by their config, and the golden folder's own ResNet-18. */
  const OWN: Record<string, string[]> = {
    'mask_rcnn_R_18_FPN (DEPTH 18, RES2_OUT_CHANNELS 64)': ['MODEL.RESNETS.DEPTH=18', 'MODEL.RESNETS.RES2_OUT_CHANNELS=64'],
  };
  const zoo = golden
    ? (JSON.parse(readFileSync(join(models, 'zoo_tensor_shapes.json'), 'utf8')) as Record<
        string,
        { tensors: Record<string, number[]> }
      >)
    : {};

  it.each(Object.keys(zoo))('%s: every tensor of the file is one of ours, and every one of ours is in the file', async (name) => {
    await tf.setBackend('cpu');
    const own = OWN[name];
    const model = buildModel(own ? getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', own) : getConfig(name));
    const ours = model.modelParameters().map((parameter) => [parameter.name, parameter.shape] as const);
    expect(Object.fromEntries(ours)).toEqual(zoo[name]!.tensors);
    model.dispose();
  });

  it.each([
    ['01_mask_rcnn_R_50_FPN_3x', 'model_final.pkl'],
    ['02_mask_rcnn_R_101_FPN_3x', 'model_final.pkl'],
    ['03_mask_rcnn_X_101_32x8d_FPN_3x', 'model_final.pkl'],
    ['04_faster_rcnn_R_50_FPN_3x', 'model_final.pkl'],
    ['11_mask_rcnn_R_50_FPN_3x_gn', 'model_final.pkl'],
    ['12_mask_rcnn_R_50_FPN_1x_dconv_c3-c5', 'model_final.pkl'],
    ['14_mask_rcnn_R_18_FPN', 'model_final.pth'],
  ])('%s goes into its model and comes back bit for bit', async (folder, file) => {
    await tf.setBackend('cpu');
    const model = buildModel(getConfig(join(models, folder, 'config.yaml')));
    const checkpoint = await readCheckpoint(join(models, folder, file));
    const parameters = model.modelParameters();
    const report = loadCheckpoint(checkpoint, parameters);
    expect(report.loaded).toHaveLength(parameters.length);
    expect(report.unused).toEqual([]);
    for (const parameter of parameters) {
      const values = await parameter.get();
      expect(Buffer.compare(bytesOf(values), bytesOf(checkpoint.tensors.get(parameter.name)!.toFloat32())), parameter.name).toBe(
        0,
      );
    }
    model.dispose();
  });

  it('the weights of another architecture are refused as such', async () => {
    await tf.setBackend('cpu');
    const model = buildModel(getConfig(join(models, '01_mask_rcnn_R_50_FPN_3x', 'config.yaml')));
    const other = await readCheckpoint(join(models, '08_mask_rcnn_R_50_C4_3x', 'model_final.pkl'));
    expect(() => loadCheckpoint(other, model.modelParameters())).toThrow(
      /model_final\.pkl: looks like the weights of another architecture/,
    );
    const wider = await readCheckpoint(join(models, '02_mask_rcnn_R_101_FPN_3x', 'model_final.pkl'));
    expect(() => loadCheckpoint(wider, model.modelParameters())).toThrow(
      /looks like the weights of a deeper network.*255 tensors.*backbone\.bottom_up\.res4\.6/,
    );
    model.dispose();
  });
});

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
