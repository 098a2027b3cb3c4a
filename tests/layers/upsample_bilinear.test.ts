import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { upsampleBilinear } from '../../src/layers/upsample_bilinear.js';
import { devices, useDevice } from '../ops/devices.js';

describe.each(devices)('upsampleBilinear on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('interpolates between pixel centres and repeats the border', async () => {
    const [row, column] = [tf.tensor4d([0, 4], [1, 1, 2, 1]), tf.tensor4d([0, 8], [1, 2, 1, 1])];
    const y = upsampleBilinear(row, 2);
    expect(y.shape).toEqual([1, 2, 4, 1]);
    expect([...(await y.data())]).toEqual([0, 1, 3, 4, 0, 1, 3, 4]);
    const four = upsampleBilinear(column, 4);
    expect([...(await four.data())].filter((_, i) => i % 4 === 0)).toEqual([0, 0, 1, 3, 5, 7, 8, 8]);
    tf.dispose([row, column, y, four]);
  });

  it('has the gradient of a weighted sum, for maps that are not square', async () => {
    // Each input pixel's weights sum to the number of output pixels over it: factor squared, by symmetry.
    const x = tf.ones([1, 2, 3, 1]);
    const dx = tf.grad((map) => tf.sum(upsampleBilinear(map as tf.Tensor4D, 2)))(x);
    const values = [...(await dx.data())];
    expect(values.reduce((a, b) => a + b, 0)).toBeCloseTo(24, 5);
    expect(values[1]).toBeCloseTo(4, 5);
    tf.dispose([x, dx]);
  });
});
