import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../../src/backends/select.js';
import '../../../src/backends/kernels/wasm_training.js';
import { Random } from '../../../src/data/random.js';
import { giveThreads } from '../../../src/ops/kernels/kernel_threads.js';
import { maxDifference } from '../../ops/max_difference.js';
import { startHelpers, valuesOf } from './start_helpers.js';

type Shape = [number, number, number, number];

interface Problem {
  readonly x: Shape;
  readonly outs: number;
  readonly size: 1 | 3;
  readonly stride: number;
  /** Zeros above, below, left and right. */
  readonly pad: readonly [number, number, number, number];
}

const random = new Random(21);
const noise = (length: number): Float32Array => Float32Array.from({ length }, () => random.uniform(-1, 1));
const length = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function outShape({ x: [images, height, width], outs, size, stride, pad: [top, bottom, left, right] }: Problem): Shape {
  const along = (inside: number, zeros: number): number => Math.floor((inside + zeros - size) / stride) + 1;
  return [images, along(height, top + bottom), along(width, left + right), outs];
}

/** The gradient of the filter in double precision, [size, size, C, K]. */
function definition(problem: Problem, x: Float32Array, dy: Float32Array): Float64Array {
  const { x: [, height, width, channels], outs, size, stride, pad: [top, , left] } = problem; // prettier-ignore
  const [images, outHeight, outWidth] = outShape(problem);
  const dw = new Float64Array(size * size * channels * outs);
  for (let place = 0; place < images * outHeight * outWidth; place++) {
    const [image, rest] = [Math.floor(place / (outHeight * outWidth)), place % (outHeight * outWidth)];
    for (let tap = 0; tap < size * size; tap++) {
      const row = Math.floor(rest / outWidth) * stride - top + Math.floor(tap / size);
      const column = (rest % outWidth) * stride - left + (tap % size);
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      const from = ((image * height + row) * width + column) * channels;
      for (let c = 0; c < channels; c++)
        for (let k = 0; k < outs; k++) dw[(tap * channels + c) * outs + k] += x[from + c] * dy[place * outs + k];
    }
  }
  return dw;
}

async function gradientOf(problem: Problem, x: Float32Array, dy: Float32Array): Promise<Float32Array> {
  const { x: shape, outs, size, stride, pad: [top, bottom, left, right] } = problem; // prettier-ignore
  const dw = tf.tidy(() =>
    tf.engine().runKernel('Conv2DBackpropFilter', { x: tf.tensor4d(x, shape), dy: tf.tensor4d(dy, outShape(problem)) }, {
      strides: stride,
      pad: [[0, 0], [top, bottom], [left, right], [0, 0]],
      dataFormat: 'NHWC',
      filterShape: [size, size, shape[3], outs],
    } as unknown as tf.NamedAttrMap),
  ) as tf.Tensor; // prettier-ignore
  expect(dw.shape).toEqual([size, size, shape[3], outs]);
  return valuesOf(dw);
}

beforeAll(async () => {
  await startBackend('wasm');
  giveThreads(tf.backend(), undefined);
});

describe('the gradient of a filter on wasm', () => {
  it.each<Problem>([
    // Several stretches of tiles, several images, sides that are odd.
    { x: [2, 21, 19, 8], outs: 16, size: 3, stride: 1, pad: [1, 1, 1, 1] },
    { x: [1, 40, 53, 4], outs: 8, size: 3, stride: 1, pad: [0, 0, 0, 0] },
    { x: [1, 17, 18, 12], outs: 24, size: 3, stride: 1, pad: [2, 0, 1, 2] },
    { x: [3, 16, 13, 8], outs: 16, size: 1, stride: 1, pad: [0, 0, 0, 0] },
    { x: [2, 19, 14, 12], outs: 8, size: 1, stride: 2, pad: [0, 0, 0, 0] },
    { x: [1, 31, 33, 4], outs: 16, size: 1, stride: 3, pad: [0, 0, 0, 0] },
    // By taps: a border, too few places, other numbers of channels.
    { x: [1, 9, 10, 4], outs: 8, size: 1, stride: 1, pad: [1, 0, 0, 1] },
    { x: [1, 5, 5, 4], outs: 8, size: 3, stride: 1, pad: [1, 1, 1, 1] },
    { x: [1, 18, 18, 6], outs: 10, size: 3, stride: 1, pad: [1, 1, 1, 1] },
    { x: [1, 18, 19, 8], outs: 16, size: 3, stride: 2, pad: [1, 1, 1, 1] },
  ])('is the sum over all places: $x, $outs outs, $size x $size, stride $stride, padding $pad', async (problem) => {
    const [x, dy] = [noise(length(problem.x)), noise(length(outShape(problem)))];
    const { numTensors } = tf.memory();
    const found = await gradientOf(problem, x, dy);
    expect(tf.memory().numTensors).toBe(numTensors);
    // Sums of up to 2000 products below 1, in float32.
    expect(maxDifference(found, definition(problem, x, dy))).toBeLessThan(3e-5);
  });

  it.each([
    [700, 12, 40],
    [33, 4, 8],
    [20, 4, 8],
  ])('and that of a product with its factors turned: %i x %i x %i', async (rows, channels, outs) => {
    const [x, dy, w] = [noise(rows * channels), noise(rows * outs), noise(channels * outs)];
    const wanted = [new Float64Array(channels * outs), new Float64Array(rows * channels)];
    for (let row = 0; row < rows; row++)
      for (let c = 0; c < channels; c++)
        for (let k = 0; k < outs; k++) {
          wanted[0][c * outs + k] += x[row * channels + c] * dy[row * outs + k];
          wanted[1][row * channels + c] += dy[row * outs + k] * w[c * outs + k];
        }
    const [a, b, c] = [
      tf.tensor3d(x, [1, rows, channels]),
      tf.tensor3d(dy, [1, rows, outs]),
      tf.tensor3d(w, [1, channels, outs]),
    ];
    const { numTensors } = tf.memory();
    const found = [tf.matMul(a, b, true, false), tf.matMul(b, c, false, true)];
    expect(found.map(({ shape }) => shape)).toEqual([
      [1, channels, outs],
      [1, rows, channels],
    ]);
    expect(tf.memory().numTensors).toBe(numTensors + 2);
    for (const [i, y] of found.entries()) expect(maxDifference(await valuesOf(y), wanted[i])).toBeLessThan(3e-5);
    tf.dispose([a, b, c]);
  });
});

describe('the gradient of a filter on the threads of wasm', () => {
  afterEach(() => giveThreads(tf.backend(), undefined));

  // More than fits into the shared memory at a time: rows of one image, whole images, pixels; and small ones.
  it.each<Problem>([
    { x: [1, 301, 503, 64], outs: 8, size: 3, stride: 1, pad: [1, 1, 1, 1] },
    { x: [41, 63, 61, 64], outs: 8, size: 3, stride: 1, pad: [0, 0, 0, 0] },
    { x: [2, 51, 49, 64], outs: 64, size: 3, stride: 1, pad: [1, 1, 1, 1] },
    { x: [1, 301, 503, 64], outs: 8, size: 1, stride: 1, pad: [0, 0, 0, 0] },
    { x: [2, 51, 49, 128], outs: 72, size: 1, stride: 1, pad: [0, 0, 0, 0] },
  ])('is the same bits, however many: $x, $outs outs, $size x $size', async (problem) => {
    const [x, dy] = [noise(length(problem.x)), noise(length(outShape(problem)))];
    const alone = await gradientOf(problem, x, dy);
    for (const helpers of [1, 3]) {
      await startHelpers(helpers);
      for (let run = 0; run < 2; run++) {
        const together = await gradientOf(problem, x, dy);
        expect(Buffer.compare(Buffer.from(together.buffer), Buffer.from(alone.buffer))).toBe(0);
      }
    }
  });
});
