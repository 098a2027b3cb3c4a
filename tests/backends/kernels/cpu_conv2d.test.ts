import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { startCpu } from '../../../src/backends/cpu.js';

beforeAll(() => startCpu());

/** Numbers whose products are inexact. */
const numbers = (length: number, seed: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898 + seed));

interface Problem {
  input: [number, number, number, number];
  filter: [number, number, number, number];
  stride: number;
  /** Before and after rows, before and after columns. */
  pad: [number, number, number, number];
  dilation: number;
}

/** The definition, in double precision. */
function reference(x: Float32Array, w: Float32Array, { input, filter, stride, pad, dilation }: Problem): number[] {
  const [n, height, width, channels] = input;
  const [kh, kw, , outChannels] = filter;
  const rows = Math.floor((height + pad[0] + pad[1] - dilation * (kh - 1) - 1) / stride) + 1;
  const columns = Math.floor((width + pad[2] + pad[3] - dilation * (kw - 1) - 1) / stride) + 1;
  const out: number[] = [];
  for (let b = 0; b < n; b++)
    for (let p = 0; p < rows; p++)
      for (let q = 0; q < columns; q++)
        for (let k = 0; k < outChannels; k++) {
          let sum = 0;
          for (let i = 0; i < kh; i++)
            for (let j = 0; j < kw; j++) {
              const [y, z] = [p * stride - pad[0] + i * dilation, q * stride - pad[2] + j * dilation];
              if (y < 0 || y >= height || z < 0 || z >= width) continue;
              for (let c = 0; c < channels; c++)
                sum += x[((b * height + y) * width + z) * channels + c]! * w[((i * kw + j) * channels + c) * outChannels + k]!;
            }
          out.push(sum);
        }
  return out;
}

const problems: Record<string, Problem> = {
  '3x3, padded': { input: [2, 5, 6, 3], filter: [3, 3, 3, 4], stride: 1, pad: [1, 1, 1, 1], dilation: 1 },
  '7x7 with stride 2': { input: [1, 9, 8, 3], filter: [7, 7, 3, 2], stride: 2, pad: [3, 3, 3, 3], dilation: 1 },
  '1x1 with stride 2': { input: [1, 5, 7, 4], filter: [1, 1, 4, 3], stride: 2, pad: [0, 0, 0, 0], dilation: 1 },
  'dilated 3x3': { input: [1, 7, 6, 2], filter: [3, 3, 2, 3], stride: 1, pad: [2, 2, 2, 2], dilation: 2 },
  'uneven padding': { input: [1, 4, 5, 2], filter: [2, 3, 2, 3], stride: 1, pad: [0, 1, 2, 1], dilation: 1 },
};

describe.each(Object.entries(problems))('convolution on cpu, %s', (_, problem) => {
  const { input, filter, stride, pad, dilation } = problem;
  const [x, w] = [
    numbers(
      input.reduce((a, b) => a * b),
      1,
    ),
    numbers(
      filter.reduce((a, b) => a * b),
      2,
    ),
  ];
  const padding: [[number, number], [number, number], [number, number], [number, number]] = [
    [0, 0],
    [pad[0], pad[1]],
    [pad[2], pad[3]],
    [0, 0],
  ];

  it('is the sum in double precision, rounded once; with bias and ReLU too', async () => {
    const before = tf.memory().numTensors;
    const wanted = reference(x, w, problem);
    const bias = numbers(filter[3], 3);
    const results = tf.tidy(() => {
      const [tx, tw] = [tf.tensor4d(x, input), tf.tensor4d(w, filter)];
      const explicit = dilation === 1 ? padding : pad[0];
      const plain = tf.conv2d(tx, tw, stride, explicit, 'NHWC', dilation, typeof explicit === 'number' ? 'floor' : undefined);
      const fused = tf.fused.conv2d({
        x: tx,
        filter: tw,
        strides: stride,
        pad: explicit,
        dilations: dilation,
        bias: tf.tensor1d(bias),
        activation: 'relu',
        ...(typeof explicit === 'number' ? { dimRoundingMode: 'floor' as const } : {}),
      });
      return [tf.keep(plain), tf.keep(fused)];
    });
    const [plain, fused] = await Promise.all(results.map((t) => t.data()));
    expect([...plain!]).toEqual(wanted.map(Math.fround));
    // The order of the sum's terms may differ in its last bit here.
    wanted.forEach((sum, i) => expect(fused![i]).toBeCloseTo(Math.max(0, sum + bias[i % bias.length]!), 6));
    tf.dispose(results);
    expect(tf.memory().numTensors).toBe(before);
  });
});
