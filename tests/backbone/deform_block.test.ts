import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { BottleneckBlock, DeformBottleneckBlock } from '../../src/backbone/blocks.js';
import { getConfig } from '../../src/config/index.js';
import { ResNet } from '../../src/backbone/resnet.js';
import { ConfigError } from '../../src/errors.js';
import { maxDifference } from '../ops/max_difference.js';

describe('DeformBottleneckBlock', () => {
  beforeAll(() => startBackend('cpu'));

  const options = {
    inChannels: 4,
    outChannels: 8,
    bottleneckChannels: 4,
    stride: 2,
    norm: 'FrozenBN',
    groups: 1,
    strideIn1x1: false,
    dilation: 1,
  };

  /** Gives equal weights to what has equal names. */
  function fill(block: BottleneckBlock | DeformBottleneckBlock): void {
    for (const { name, shape, variable, set } of block.modelParameters()) {
      if (name.startsWith('conv2_offset') || !name.endsWith('weight') || variable.rank !== 4) continue;
      set(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, k) => (((k + name.length) * 37) % 23) / 23 - 0.5));
    }
  }

  it.each([
    ['v1, before its offsets have learned anything', false, 1],
    ['v2, whose weights are then one half', true, 2],
  ])('is the plain block where nothing is moved: %s', async (_, modulated, deformableGroups) => {
    const plain = new BottleneckBlock(options);
    const deformed = new DeformBottleneckBlock({ ...options, modulated, deformableGroups });
    fill(plain);
    fill(deformed);
    if (modulated) {
      // sigmoid(0) = 1/2 on every sample: twice the weights make up for it.
      const { variable, get, set } = deformed.modelParameters().find(({ name }) => name === 'conv2.weight')!;
      set((await get()).map((v) => 2 * v));
      expect(variable.shape).toEqual([3, 3, 4, 4]);
    }
    const offsets = deformed.modelParameters().find(({ name }) => name === 'conv2_offset.weight')!;
    expect(offsets.shape).toEqual([modulated ? 54 : 18, 4, 3, 3]);
    const x = tf.tensor4d(
      Float32Array.from({ length: 7 * 9 * 4 }, (_, k) => ((k * 29) % 31) / 31),
      [1, 7, 9, 4],
    );
    const [a, b] = [plain.forward(x), deformed.forward(x)];
    expect(b.shape).toEqual([1, 4, 5, 8]);
    expect(maxDifference(await b.data(), await a.data())).toBeLessThan(1e-6);
    tf.dispose([x, a, b]);
    plain.dispose();
    deformed.dispose();
  });

  it('is refused where there are no bottlenecks', () => {
    const cfg = getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', [
      'MODEL.RESNETS.DEPTH=18',
      'MODEL.RESNETS.RES2_OUT_CHANNELS=64',
      'MODEL.RESNETS.DEFORM_ON_PER_STAGE=[False,True,True,True]',
    ]);
    expect(() => ResNet.fromConfig(cfg)).toThrow(ConfigError);
    expect(() => ResNet.fromConfig(cfg)).toThrow('deformable blocks at DEPTH 18; expected 50 or more');
  });
});
