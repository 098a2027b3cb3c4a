import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../../src/backends/select.js';
import { Random } from '../../../src/data/random.js';
import { giveThreads, KernelThreads } from '../../../src/ops/kernels/kernel_threads.js';
import { startHelpers, valuesOf } from './start_helpers.js';

type Shape = [number, number, number, number];
type Pads = [[number, number], [number, number]];

interface Problem {
  readonly x: Shape;
  readonly outs: number;
  /** Zeros above and below, left and right. */
  readonly pad: 'same' | 'valid' | Pads;
}

const PROBLEMS: Record<string, Problem> = {
  'even sizes': { x: [1, 14, 16, 8], outs: 8, pad: 'same' },
  'odd sizes, several images, channels that are no multiple of 8': { x: [3, 15, 13, 12], outs: 24, pad: 'same' },
  'no border': { x: [1, 20, 17, 4], outs: 8, pad: 'valid' },
  'uneven zeros': {
    x: [2, 13, 14, 8],
    outs: 16,
    pad: [
      [2, 0],
      [0, 3],
    ],
  },
  'one row': { x: [1, 1, 120, 16], outs: 8, pad: 'same' },
};

const random = new Random(11);
const noise = (shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform(-1, 1));

const zeros = ({ pad }: Problem): Pads => {
  if (pad !== 'same' && pad !== 'valid') return pad;
  const border: [number, number] = pad === 'same' ? [1, 1] : [0, 0];
  return [border, border];
};

/** By the definition, in double precision. */
function definition(problem: Problem, x: Float32Array, filter: Float32Array, bias: Float32Array, relu: boolean): Float64Array {
  const [images, height, width, channels] = problem.x;
  const { outs } = problem;
  const [[top, bottom], [left, right]] = zeros(problem);
  const [outHeight, outWidth] = [height + top + bottom - 2, width + left + right - 2];
  const y = new Float64Array(images * outHeight * outWidth * outs);
  for (let at = 0; at < y.length; at += outs) {
    const q = (at / outs) % outWidth;
    const p = Math.floor(at / outs / outWidth) % outHeight;
    const n = Math.floor(at / outs / outWidth / outHeight);
    for (let tap = 0; tap < 9; tap++) {
      const [row, column] = [p - top + Math.floor(tap / 3), q - left + (tap % 3)];
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      for (let c = 0; c < channels; c++) {
        const value = x[((n * height + row) * width + column) * channels + c];
        for (let k = 0; k < outs; k++) y[at + k] += value * filter[(tap * channels + c) * outs + k];
      }
    }
    for (let k = 0; k < outs; k++) {
      y[at + k] += bias[k];
      if (relu) y[at + k] = Math.max(0, y[at + k]);
    }
  }
  return y;
}

function convolve({ x: shape, outs, pad }: Problem, x: Float32Array, filter: Float32Array, bias: Float32Array, relu: boolean) {
  return tf.tidy(() => {
    const [map, kernel] = [tf.tensor4d(x, shape), tf.tensor4d(filter, [3, 3, shape[3], outs])];
    const explicit = pad === 'same' || pad === 'valid' ? pad : ([[0, 0], ...pad, [0, 0]] as const);
    return tf.fused.conv2d({
      x: map,
      filter: kernel,
      strides: 1,
      pad: explicit as 'same',
      bias: tf.tensor1d(bias),
      activation: relu ? 'relu' : 'linear',
    });
  });
}

function expectSameBits(a: Float32Array, b: Float32Array): void {
  expect(Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer))).toBe(0);
}

beforeAll(async () => {
  await startBackend('wasm');
  giveThreads(tf.backend(), undefined);
});

describe.each(Object.entries(PROBLEMS))('a 3x3 convolution on wasm: %s', (_, problem) => {
  it.each([true, false])('is the sum with its bias, rectified: %s', async (relu) => {
    const [x, filter, bias] = [noise(problem.x), noise([9, problem.x[3], problem.outs]), noise([problem.outs])];
    const { numTensors } = tf.memory();
    const got = await valuesOf(convolve(problem, x, filter, bias, relu));
    expect(tf.memory().numTensors).toBe(numTensors);
    const wanted = definition(problem, x, filter, bias, relu);
    expect(got.length).toBe(wanted.length);
    // Sums of up to 9 * 16 products below 1, in float32.
    expect(Math.max(...wanted.map((value, i) => Math.abs(value - got[i])))).toBeLessThan(1e-5);
  });
});

describe('a 3x3 convolution on wasm', () => {
  it('has the gradients of the definition', async () => {
    const shape: Shape = [1, 15, 14, 8];
    const [x, filter] = [noise(shape), noise([9, 8, 8])];
    const gradients = tf.tidy(() =>
      tf.grads((map: tf.Tensor, kernel: tf.Tensor) =>
        tf.sum(tf.square(tf.conv2d(map as tf.Tensor4D, kernel as tf.Tensor4D, 1, 'same'))),
      )([tf.tensor4d(x, shape), tf.tensor4d(filter, [3, 3, 8, 8])]),
    );
    const [dx, dw] = await Promise.all(gradients.map(valuesOf));
    const problem: Problem = { x: shape, outs: 8, pad: 'same' };
    const loss = (): number => definition(problem, x, filter, new Float32Array(8), false).reduce((sum, y) => sum + y * y, 0);
    for (const [values, found] of [
      [x, dx],
      [filter, dw],
    ] as const) {
      for (let i = 5; i < values.length; i += Math.ceil(values.length / 7)) {
        const kept = values[i];
        const [more, less] = [1, -1].map((sign) => {
          values[i] = kept + sign / 64;
          return loss();
        });
        values[i] = kept;
        // The loss is a square: its central difference is exact.
        const slope = (more - less) / (Math.fround(kept + 1 / 64) - Math.fround(kept - 1 / 64));
        expect(found[i]).toBeCloseTo(slope, 2);
      }
    }
  });

  it('lets a number that is none spread over the tiles that see it at most', async () => {
    const problem: Problem = { x: [1, 14, 14, 4], outs: 8, pad: 'same' };
    const [x, filter, bias] = [noise(problem.x), noise([9, 4, 8]), noise([8])];
    x[(5 * 14 + 7) * 4] = NaN;
    const got = await valuesOf(convolve(problem, x, filter, bias, true));
    for (let at = 0; at < got.length; at++) {
      const [row, column] = [Math.floor(at / 8 / 14), Math.floor(at / 8) % 14];
      // Rows 4 and 5 are of one tile, 6 and 7 of the next; so are columns.
      const inTiles = row >= 4 && row <= 7 && column >= 6 && column <= 9;
      const byDefinition = row >= 4 && row <= 6 && column >= 6 && column <= 8;
      if (byDefinition || !inTiles) expect(Number.isNaN(got[at]), `${row} ${column}`).toBe(byDefinition);
    }
  });
});

describe('the threads of wasm', () => {
  afterEach(() => giveThreads(tf.backend(), undefined));

  // More than fits into the shared memory at a time, in rows of one image and in whole images; and a small one.
  const LARGE: Record<string, Problem> = {
    'rows of an image': { x: [1, 301, 503, 64], outs: 8, pad: 'same' },
    'whole images': {
      x: [41, 63, 61, 64],
      outs: 8,
      pad: [
        [2, 1],
        [0, 1],
      ],
    },
    'one strip': { x: [2, 51, 49, 64], outs: 64, pad: 'valid' },
  };

  it.each(Object.entries(LARGE))('compute the same bits, however many: %s', async (_, problem) => {
    const [x, filter, bias] = [noise(problem.x), noise([9, problem.x[3], problem.outs]), noise([problem.outs])];
    const alone = await valuesOf(convolve(problem, x, filter, bias, true));
    for (const helpers of [1, 3]) {
      await startHelpers(helpers);
      const { numTensors } = tf.memory();
      for (let run = 0; run < 3; run++) {
        const together = await valuesOf(convolve(problem, x, filter, bias, true));
        expectSameBits(together, alone);
      }
      expect(tf.memory().numTensors).toBe(numTensors);
    }
  });

  it('start when there has been work enough, and not before', async () => {
    let started = 0;
    const threads = new KernelThreads(2, () => ({ terminate: () => started--, ...(started++, {}) }), 100);
    expect([threads.count(60), threads.count(30), started]).toEqual([1, 1, 0]);
    expect([threads.count(10), started]).toEqual([1, 2]);
    threads.dispose();
    expect(started).toBe(0);
  });

  it('are done without where they do not start', async () => {
    const problem = LARGE['one strip'];
    const [x, filter, bias] = [noise(problem.x), noise([9, 64, 64]), noise([64])];
    const alone = await valuesOf(convolve(problem, x, filter, bias, false));
    giveThreads(tf.backend(), new KernelThreads(1, () => ({ terminate: () => undefined }), 0));
    for (let run = 0; run < 2; run++) expectSameBits(await valuesOf(convolve(problem, x, filter, bias, false)), alone);
  });
});
