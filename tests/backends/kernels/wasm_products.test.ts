import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../../src/backends/select.js';
import { Random } from '../../../src/data/random.js';
import { giveThreads } from '../../../src/ops/kernels/kernel_threads.js';
import { startHelpers, valuesOf } from './start_helpers.js';

interface Sizes {
  readonly rows: number;
  readonly channels: number;
  readonly outs: number;
}

const random = new Random(12);
const noise = (length: number): Float32Array => Float32Array.from({ length }, () => random.uniform(-1, 1));

interface Numbers {
  readonly x: Float32Array;
  readonly w: Float32Array;
  readonly bias: Float32Array;
}

const numbers = ({ rows, channels, outs }: Sizes): Numbers => ({
  x: noise(rows * channels),
  w: noise(channels * outs),
  bias: noise(outs),
});

/** In double precision. */
function definition({ rows, channels, outs }: Sizes, { x, w, bias }: Numbers): Float64Array {
  const y = new Float64Array(rows * outs);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < outs; k++) y[row * outs + k] = bias[k];
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < outs; k++) y[row * outs + k] += x[row * channels + c] * w[c * outs + k];
    }
  }
  return y;
}

type Way = 'matMul' | 'conv2d';

function product(way: Way, { rows, channels, outs }: Sizes, { x, w, bias }: Numbers, activation: 'relu' | 'linear'): tf.Tensor {
  return tf.tidy(() => {
    const b = tf.tensor1d(bias);
    if (way === 'matMul')
      return tf.fused.matMul({ a: tf.tensor2d(x, [rows, channels]), b: tf.tensor2d(w, [channels, outs]), bias: b, activation });
    const [map, filter] = [tf.tensor4d(x, [rows / 3, 3, 1, channels]), tf.tensor4d(w, [1, 1, channels, outs])];
    return tf.fused.conv2d({ x: map, filter, strides: 1, pad: 'valid', bias: b, activation });
  });
}

beforeAll(async () => {
  await startBackend('wasm');
  giveThreads(tf.backend(), undefined);
});

describe('products of matrices on wasm', () => {
  const SIZES: Sizes[] = [
    { rows: 33, channels: 5, outs: 8 },
    { rows: 66, channels: 64, outs: 24 },
    // More than is summed at a time.
    { rows: 39, channels: 1100, outs: 16 },
  ];

  it.each(SIZES)('are the sums with their bias, rectified or not: $rows x $channels x $outs', async (sizes) => {
    const values = numbers(sizes);
    const wanted = definition(sizes, values);
    const { numTensors } = tf.memory();
    for (const way of ['matMul', 'conv2d'] as const) {
      for (const activation of ['linear', 'relu'] as const) {
        const got = await valuesOf(product(way, sizes, values, activation));
        const right = activation === 'relu' ? wanted.map((y) => Math.max(0, y)) : wanted;
        expect(got.length).toBe(right.length);
        // Sums of up to 1100 products below 1, in float32: partial sums of some dozens, each rounded by 2e-6 at most.
        expect(Math.max(...right.map((y, i) => Math.abs(y - got[i])))).toBeLessThan(5e-5);
      }
    }
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('without a bias keep the shape of what is multiplied', async () => {
    const sizes = { rows: 40, channels: 12, outs: 16 };
    const values = { ...numbers(sizes), bias: new Float32Array(16) };
    const y = tf.tidy(() => tf.matMul(tf.tensor3d(values.x, [1, 40, 12]), tf.tensor3d(values.w, [1, 12, 16])));
    expect(y.shape).toEqual([1, 40, 16]);
    const wanted = definition(sizes, values);
    const got = await valuesOf(y);
    expect(Math.max(...wanted.map((value, i) => Math.abs(value - got[i])))).toBeLessThan(1e-5);
  });

  it('a 1x1 convolution with a border or a stride takes the pixels that it should', async () => {
    const x = noise(8 * 8 * 4);
    const w = noise(4 * 8);
    const map = tf.tensor4d(x, [1, 8, 8, 4]);
    const filter = tf.tensor4d(w, [1, 1, 4, 8]);
    // Rows 1 to 7 and then zeros in the first, every other row in the second.
    const shifted = tf.tidy(() => tf.conv2d(map, filter, 1, [[0, 0], [1, 0], [1, 0], [0, 0]])); // prettier-ignore
    const strided = tf.tidy(() => tf.conv2d(map, filter, 2, 'valid'));
    const whole = await valuesOf(tf.conv2d(map, filter, 1, 'valid'));
    const [a, b] = [await valuesOf(shifted), await valuesOf(strided)];
    for (let k = 0; k < 8; k++) {
      expect(a[k]).toBe(0);
      expect(a[(9 + 1) * 8 + k]).toBeCloseTo(whole[k], 5);
      expect(b[(4 + 1) * 8 + k]).toBeCloseTo(whole[(2 * 8 + 2) * 8 + k], 5);
    }
    tf.dispose([map, filter]);
  });
});

describe('products of matrices on the threads of wasm', () => {
  afterEach(() => giveThreads(tf.backend(), undefined));

  // More than fits into the shared memory at a time, once in one chunk of channels and once in several; and a small one.
  it.each<Sizes>([
    { rows: 90_003, channels: 100, outs: 8 },
    { rows: 6_003, channels: 1500, outs: 16 },
    { rows: 1_002, channels: 600, outs: 64 },
  ])('are the same bits, however many: $rows x $channels x $outs', async (sizes) => {
    const values = numbers(sizes);
    const alone = await valuesOf(product('conv2d', sizes, values, 'relu'));
    for (const helpers of [1, 3]) {
      await startHelpers(helpers);
      const { numTensors } = tf.memory();
      const together = await valuesOf(product('conv2d', sizes, values, 'relu'));
      expect(Buffer.compare(Buffer.from(together.buffer), Buffer.from(alone.buffer))).toBe(0);
      expect(tf.memory().numTensors).toBe(numTensors);
    }
  });
});
