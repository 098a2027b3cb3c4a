import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { upsampleNearest2x } from '../../src/layers/upsample_nearest.js';
import { devices, useDevice } from '../ops/devices.js';

describe.each(devices)('nearest upsampling on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('repeats pixels; the gradient is the sum over the four', async () => {
    const x = tf.tensor4d([1, 2, 3], [1, 1, 3, 1]);
    const y = upsampleNearest2x(x);
    expect(y.shape).toEqual([1, 2, 6, 1]);
    expect([...(await y.data())]).toEqual([1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3]);
    const dy = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [1, 2, 6, 1]);
    const dx = tf.grad((a) => upsampleNearest2x(a as tf.Tensor4D))(x, dy);
    expect([...(await dx.data())]).toEqual([18, 26, 34]);
    tf.dispose([x, y, dy, dx]);
  });
});
