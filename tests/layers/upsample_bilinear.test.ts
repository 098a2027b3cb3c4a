import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { upsampleBilinear } from '../../src/layers/upsample_bilinear.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('upsampleBilinear', () => {
  it('interpolates between pixel centres and repeats the border', () => {
    const y = upsampleBilinear(tf.tensor4d([0, 4], [1, 1, 2, 1]), 2);
    expect(y.shape).toEqual([1, 2, 4, 1]);
    expect([...y.dataSync()]).toEqual([0, 1, 3, 4, 0, 1, 3, 4]);
    const four = upsampleBilinear(tf.tensor4d([0, 8], [1, 2, 1, 1]), 4);
    expect([...four.dataSync()].filter((_, i) => i % 4 === 0)).toEqual([0, 0, 1, 3, 5, 7, 8, 8]);
  });

  it('has the gradient of a weighted sum, for maps that are not square', () => {
    // Each input pixel's weights sum to the number of output pixels over it: factor squared, by symmetry.
    const dx = tf.grad((x) => tf.sum(upsampleBilinear(x as tf.Tensor4D, 2)))(tf.ones([1, 2, 3, 1]));
    const values = [...dx.dataSync()];
    expect(values.reduce((a, b) => a + b, 0)).toBeCloseTo(24, 5);
    expect(values[1]).toBeCloseTo(4, 5);
  });

  it('leaves no tensors behind', () => {
    const x = tf.ones<tf.Rank.R4>([2, 3, 4, 5]);
    const before = tf.memory().numTensors;
    upsampleBilinear(x, 4).dispose();
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
  });
});
