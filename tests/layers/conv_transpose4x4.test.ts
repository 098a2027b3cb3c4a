import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConvTranspose4x4 } from '../../src/layers/conv_transpose4x4.js';
import { devices, useDevice } from '../ops/devices.js';

/** PyTorch's definition: output pixel 2 i - 1 + k gets input pixel i times weight (in, out, k). */
function expected(x: readonly number[], weight: Float32Array, [h, w]: [number, number], channels: [number, number]): number[] {
  const [ins, outs] = channels;
  const y = new Array<number>(2 * h * 2 * w * outs).fill(0);
  for (let i = 0; i < h; i++)
    for (let j = 0; j < w; j++)
      for (let a = 0; a < 4; a++)
        for (let b = 0; b < 4; b++) {
          const [v, u] = [2 * i - 1 + a, 2 * j - 1 + b];
          if (v < 0 || u < 0 || v >= 2 * h || u >= 2 * w) continue;
          for (let c = 0; c < ins; c++)
            for (let o = 0; o < outs; o++)
              y[(v * 2 * w + u) * outs + o]! += x[(i * w + j) * ins + c]! * weight[((c * outs + o) * 4 + a) * 4 + b]!;
        }
  return y;
}

describe.each(devices)('ConvTranspose4x4 on %s', (device) => {
  let layer: ConvTranspose4x4;
  const weight = Float32Array.from({ length: 2 * 3 * 16 }, (_, i) => (((i * 37) % 11) - 5) / 8);
  const x = Array.from({ length: 2 * 3 * 2 }, (_, i) => (((i * 5) % 7) - 3) / 4);
  beforeAll(async () => {
    await useDevice(device);
    layer = new ConvTranspose4x4(2, 3);
    const [w, b] = layer.modelParameters();
    w!.set(weight);
    b!.set(new Float32Array(3));
  });
  afterAll(() => void layer.dispose());

  it('is the transposed convolution of PyTorch', async () => {
    const before = tf.memory().numTensors;
    const input = tf.tensor4d(x, [1, 2, 3, 2]);
    const y = layer.forward(input);
    expect(y.shape).toEqual([1, 4, 6, 3]);
    const values = await y.data();
    expected(x, weight, [2, 3], [2, 3]).forEach((value, i) => expect(values[i]).toBeCloseTo(value, 5));
    tf.dispose([input, y]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('has the gradient of a linear map', async () => {
    // The gradient of a sum of outputs with weights g is the transposed map of g: check it by inner products.
    const g = Array.from({ length: 4 * 6 * 3 }, (_, i) => (((i * 3) % 5) - 2) / 2);
    const dx = tf.grad((input) => tf.sum(tf.mul(layer.forward(input as tf.Tensor4D), tf.tensor4d(g, [1, 4, 6, 3]))))(
      tf.zeros([1, 2, 3, 2]),
    );
    const values = await dx.data();
    for (let i = 0; i < x.length; i++) {
      const unit = x.map((_, k) => Number(k === i));
      const y = expected(unit, weight, [2, 3], [2, 3]);
      expect(values[i]).toBeCloseTo(
        y.reduce((sum, value, k) => sum + value * g[k]!, 0),
        4,
      );
    }
    dx.dispose();
  });
});
