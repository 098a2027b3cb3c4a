import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { Conv2d } from '../../src/layers/conv2d.js';
import { ConvTranspose2x2 } from '../../src/layers/conv_transpose2d.js';
import { Linear } from '../../src/layers/linear.js';
import { FrozenBatchNorm } from '../../src/layers/norm.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('Conv2d', () => {
  it('pads symmetrically at stride 2, unlike "same"', async () => {
    const conv = new Conv2d({ inChannels: 1, outChannels: 1, kernelSize: 3, stride: 2, padding: 1 });
    const [weight] = conv.modelParameters();
    weight.set(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
    // Input 1..4; the first output pixel sees 1 at the kernel's centre: 5*1 + 6*2 + 8*3 + 9*4.
    const y = conv.forward(tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]));
    expect([...(await y.data())]).toEqual([77]);
    y.dispose();
    conv.dispose();
  });

  it('folds a frozen norm without changing the result, and frees its weights', async () => {
    const tensors = tf.memory().numTensors;
    const conv = new Conv2d({ inChannels: 2, outChannels: 3, kernelSize: 1, norm: 'FrozenBN', activation: 'relu' });
    conv
      .modelParameters()
      .forEach((p, i) =>
        p.set(Float32Array.from({ length: p.shape.reduce((a, b) => a * b, 1) }, (_, j) => 0.5 + 0.1 * i + 0.2 * j)),
      );
    const x = tf.tensor4d([1, -2, 3, 4], [1, 1, 2, 2]);
    const before = conv.forward(x);
    conv.fold();
    const after = conv.forward(x);
    const [a, b] = [await before.data(), await after.data()];
    a.forEach((value, i) => expect(Math.abs(value - b[i])).toBeLessThan(1e-6));
    expect(conv.modelParameters()).toEqual([]);
    tf.dispose([x, before, after]);
    conv.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('splits channels into groups', async () => {
    const conv = new Conv2d({ inChannels: 4, outChannels: 4, kernelSize: 1, groups: 2, bias: false });
    // Group 0: rows (1, 2), (3, 4) on channels 0 and 1; group 1: rows (5, 6), (7, 8) on channels 2 and 3.
    conv.modelParameters()[0].set(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const y = conv.forward(tf.tensor4d([1, 10, 100, 1000], [1, 1, 1, 4]));
    expect([...(await y.data())]).toEqual([21, 43, 6500, 8700]);
    y.dispose();
    conv.dispose();
  });
});

describe('Linear', () => {
  it('permutes rows of a map that PyTorch flattened as C, H, W', async () => {
    const linear = new Linear({ inFeatures: 4, outFeatures: 1, flattenedFrom: [1, 2, 2] });
    // Weights for (c0 x0), (c0 x1), (c1 x0), (c1 x1); our input is (x0 c0), (x0 c1), (x1 c0), (x1 c1).
    linear.modelParameters()[0].set(Float32Array.of(1, 10, 100, 1000));
    const y = linear.forward(tf.tensor2d([1, 2, 3, 4], [1, 4]));
    expect([...(await y.data())]).toEqual([1 + 200 + 30 + 4000]);
    expect([...(await linear.modelParameters()[0].get())]).toEqual([1, 10, 100, 1000]);
    y.dispose();
    linear.dispose();
  });
});

describe('ConvTranspose2x2', () => {
  it('puts the four taps of every pixel in their places', async () => {
    const deconv = new ConvTranspose2x2(1, 1);
    deconv.modelParameters()[0].set(Float32Array.of(1, 2, 3, 4));
    const y = deconv.forward(tf.tensor4d([1, 10], [1, 1, 2, 1]));
    expect(y.shape).toEqual([1, 2, 4, 1]);
    expect([...(await y.data())]).toEqual([1, 2, 10, 20, 3, 4, 30, 40]);
    y.dispose();
    deconv.dispose();
  });
});

describe('FrozenBatchNorm', () => {
  it('starts as the identity: variance 1 - 1e-5 cancels the epsilon', async () => {
    const norm = new FrozenBatchNorm(2);
    const y = norm.forward(tf.tensor4d([3, -4], [1, 1, 1, 2]));
    const values = await y.data();
    expect(values[0]).toBeCloseTo(3, 6);
    expect(values[1]).toBeCloseTo(-4, 6);
    y.dispose();
    norm.dispose();
  });
});
