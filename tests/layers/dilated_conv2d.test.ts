import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import '../../src/backends/kernels/cpu_conv2d_gradients.js';
import '../../src/backends/kernels/wasm_training.js';
import { Conv2d } from '../../src/layers/conv2d.js';
import { devices, useDevice } from '../ops/devices.js';
import { maxDifference } from '../ops/max_difference.js';

const [BATCH, HEIGHT, WIDTH, IN, OUT] = [2, 7, 10, 4, 6];

/** Repeatable numbers in [-1, 1). */
function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => (state = (Math.imul(state, 1664525) + 1013904223) | 0) / 2 ** 31);
}

/** Calls `visit` with the positions of input, weight and output of every product of the convolution. */
function forEachProduct(
  k: number,
  padding: number,
  dilation: number,
  groups: number,
  visit: (x: number, w: number, y: number) => void,
): [number, number] {
  const size = (n: number) => n + 2 * padding - dilation * (k - 1);
  const [rows, columns] = [size(HEIGHT), size(WIDTH)];
  for (let n = 0; n < BATCH; n++)
    for (let p = 0; p < rows; p++)
      for (let q = 0; q < columns; q++)
        for (let o = 0; o < OUT; o++)
          for (let i = 0; i < k; i++)
            for (let j = 0; j < k; j++)
              for (let c = 0; c < IN / groups; c++) {
                const y = p - padding + i * dilation;
                const x = q - padding + j * dilation;
                if (y < 0 || x < 0 || y >= HEIGHT || x >= WIDTH) continue;
                const channel = Math.floor((o * groups) / OUT) * (IN / groups) + c;
                visit(
                  ((n * HEIGHT + y) * WIDTH + x) * IN + channel,
                  ((i * k + j) * (IN / groups) + c) * OUT + o,
                  ((n * rows + p) * columns + q) * OUT + o,
                );
              }
  return [rows, columns];
}

describe.each(devices)('a dilated convolution on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each([
    [3, 2, 2, 1],
    [3, 3, 3, 1],
    [3, 1, 2, 1],
    [2, 2, 3, 1],
    [3, 2, 2, 2],
  ])(
    'filter %i, padding %i, dilation %i, groups %i: value and gradients of the plain loops',
    async (k, padding, dilation, groups) => {
      const start = tf.memory().numTensors;
      const layer = new Conv2d({ inChannels: IN, outChannels: OUT, kernelSize: k, padding, dilation, groups });
      const weights = noise(k * k * (IN / groups) * OUT, 1);
      const bias = noise(OUT, 2);
      const [kernel, shift] = layer.modelParameters();
      const values = tf.tensor(weights.slice(), [k, k, IN / groups, OUT]);
      kernel.variable.assign(values);
      values.dispose();
      shift.set(bias);
      const pixels = noise(BATCH * HEIGHT * WIDTH * IN, 3);
      const x = tf.tensor4d(pixels.slice(), [BATCH, HEIGHT, WIDTH, IN]);

      const value = new Float64Array(BATCH * 40 * 40 * OUT);
      const [rows, columns] = forEachProduct(k, padding, dilation, groups, (a, b, y) => (value[y] += pixels[a] * weights[b]));
      const length = BATCH * rows * columns * OUT;
      const dy = noise(length, 4);
      const dx = new Float64Array(pixels.length);
      const dw = new Float64Array(weights.length);
      forEachProduct(k, padding, dilation, groups, (a, b, y) => {
        dx[a] += dy[y] * weights[b];
        dw[b] += dy[y] * pixels[a];
      });
      const expected = Float32Array.from(value.subarray(0, length), (v, i) => v + bias[i % OUT]);

      const y = layer.forward(x);
      expect(y.shape).toEqual([BATCH, rows, columns, OUT]);
      expect(maxDifference(await y.data(), expected)).toBeLessThan(1e-5);

      const upstream = tf.tensor(dy.slice(), y.shape);
      const loss = () => tf.sum<tf.Scalar>(tf.mul(layer.forward(x), upstream));
      const { value: total, grads } = tf.variableGrads(loss, [kernel.variable, shift.variable]);
      const mapGradient = tf.grad((v: tf.Tensor) => layer.forward(v as tf.Tensor4D))(x, upstream);
      expect(maxDifference(await mapGradient.data(), Float32Array.from(dx))).toBeLessThan(2e-5);
      expect(maxDifference(await grads[kernel.variable.name].data(), Float32Array.from(dw))).toBeLessThan(2e-5);
      const db = new Float64Array(OUT);
      dy.forEach((v, i) => (db[i % OUT] += v));
      expect(maxDifference(await grads[shift.variable.name].data(), Float32Array.from(db))).toBeLessThan(2e-5);
      tf.dispose([x, y, upstream, total, grads, mapGradient]);
      layer.dispose();
      expect(tf.memory().numTensors).toBe(start);
    },
  );
});
