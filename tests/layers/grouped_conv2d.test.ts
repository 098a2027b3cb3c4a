import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import '../../src/backends/kernels/wasm_training.js';
import { BlockKernels, groupedConv2d } from '../../src/layers/grouped_conv2d.js';
import { directGroupedConv2d, groupedConvWay } from '../../src/ops/grouped_conv2d/grouped_conv2d.js';
import { GROUPED_CONV2D, GROUPED_CONV2D_INPUT_GRAD } from '../../src/ops/grouped_conv2d/kernel_names.js';
import { readBack } from '../../src/ops/read_back.js';
import { devices, useDevice } from '../ops/devices.js';
import { maxDifference } from '../ops/max_difference.js';

interface Problem {
  x: [number, number, number, number];
  /** [kh, kw, C / groups, K] */
  filter: [number, number, number, number];
  groups: number;
  stride: number;
  pad: 'same' | 'valid';
}

const PROBLEMS: Problem[] = [
  { x: [2, 5, 6, 8], filter: [3, 3, 4, 8], groups: 2, stride: 1, pad: 'same' },
  { x: [1, 7, 6, 6], filter: [3, 3, 2, 9], groups: 3, stride: 2, pad: 'valid' },
  { x: [2, 8, 9, 16], filter: [3, 3, 4, 32], groups: 4, stride: 2, pad: 'same' },
  { x: [1, 9, 12, 24], filter: [2, 3, 6, 48], groups: 4, stride: 2, pad: 'valid' },
  { x: [2, 3, 3, 32], filter: [3, 3, 4, 64], groups: 8, stride: 1, pad: 'same' },
  { x: [1, 3, 7, 16], filter: [3, 3, 8, 8], groups: 2, stride: 1, pad: 'same' },
  { x: [1, 4, 4, 12], filter: [1, 1, 3, 32], groups: 4, stride: 1, pad: 'valid' },
  { x: [1, 6, 7, 64], filter: [3, 3, 2, 128], groups: 32, stride: 2, pad: 'same' },
  { x: [1, 9, 8, 32], filter: [3, 3, 16, 32], groups: 2, stride: 1, pad: 'same' },
  // On wasm by Winograd, a group after the other: odd sizes, several images, other numbers of outputs than of inputs.
  { x: [2, 13, 15, 24], filter: [3, 3, 8, 48], groups: 3, stride: 1, pad: 'same' },
  { x: [1, 18, 17, 32], filter: [3, 3, 16, 16], groups: 2, stride: 1, pad: 'valid' },
  { x: [1, 15, 16, 32], filter: [3, 3, 8, 32], groups: 4, stride: 2, pad: 'same' },
  // On few places: most taps outside of the map, outputs by 32 and by 4, a stride, several images.
  { x: [1, 1, 1, 24], filter: [3, 3, 12, 72], groups: 2, stride: 1, pad: 'same' },
  { x: [2, 2, 2, 16], filter: [3, 3, 4, 64], groups: 4, stride: 1, pad: 'same' },
  { x: [1, 4, 7, 8], filter: [2, 3, 4, 8], groups: 2, stride: 2, pad: 'same' },
  { x: [3, 3, 5, 8], filter: [3, 3, 4, 8], groups: 2, stride: 2, pad: 'valid' },
  // On wasm products of matrices: a group's channels in one chunk and in two.
  { x: [2, 5, 7, 48], filter: [1, 1, 16, 72], groups: 3, stride: 1, pad: 'same' },
  { x: [1, 6, 6, 1040], filter: [1, 1, 520, 16], groups: 2, stride: 1, pad: 'valid' },
  { x: [1, 9, 9, 32], filter: [1, 1, 16, 32], groups: 2, stride: 2, pad: 'same' },
  // Large enough to be cut up: 5 packs of 4 groups.
  { x: [1, 12, 10, 160], filter: [3, 3, 8, 80], groups: 20, stride: 1, pad: 'same' },
];

/** Convolution and its gradients by plain loops, in double precision. */
function loops(p: Problem, x: Float32Array, filter: Float32Array, dyOf: (length: number) => Float32Array) {
  const [images, height, width, channels] = p.x;
  const [kh, kw, perGroup, outs] = p.filter;
  const places = (size: number, k: number): [number, number] => {
    if (p.pad === 'valid') return [Math.floor((size - k) / p.stride) + 1, 0];
    const out = Math.ceil(size / p.stride);
    return [out, Math.floor(Math.max(0, (out - 1) * p.stride + k - size) / 2)];
  };
  const [outHeight, top] = places(height, kh);
  const [outWidth, left] = places(width, kw);
  const y = new Float64Array(images * outHeight * outWidth * outs);
  const dy = dyOf(y.length);
  const dx = new Float64Array(x.length);
  const dFilter = new Float64Array(filter.length);
  for (let at = 0; at < y.length; at++) {
    const k = at % outs;
    const column = Math.floor(at / outs) % outWidth;
    const row = Math.floor(at / outs / outWidth) % outHeight;
    const image = Math.floor(at / outs / outWidth / outHeight);
    const group = Math.floor((k * p.groups) / outs);
    for (let i = 0; i < kh; i++)
      for (let j = 0; j < kw; j++) {
        const [v, u] = [row * p.stride - top + i, column * p.stride - left + j];
        if (v < 0 || v >= height || u < 0 || u >= width) continue;
        for (let c = 0; c < perGroup; c++) {
          const a = ((image * height + v) * width + u) * channels + group * perGroup + c;
          const b = ((i * kw + j) * perGroup + c) * outs + k;
          y[at] += x[a] * filter[b];
          dx[a] += dy[at] * filter[b];
          dFilter[b] += dy[at] * x[a];
        }
      }
  }
  return { shape: [images, outHeight, outWidth, outs], y, dy, dx, dFilter };
}

describe.each(devices)('grouped convolution on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each(PROBLEMS)('equals plain loops, forward and backward: $x, $filter, $groups groups, $stride, $pad', async (problem) => {
    const random = new Random(7);
    const noise = (length: number, most = 1): Float32Array => Float32Array.from({ length }, () => random.uniform(-most, most));
    const size = (shape: number[]): number => shape.reduce((a, b) => a * b, 1);
    const [xs, filters] = [noise(size(problem.x)), noise(size(problem.filter), 0.5)];
    const truth = loops(problem, xs, filters, (length) => noise(length, 0.5));
    const before = tf.memory().numTensors;
    const x = tf.tensor4d(xs, problem.x);
    const filter = tf.tensor4d(filters, problem.filter);
    const dy = tf.tensor(truth.dy, truth.shape);
    const { groups, stride, pad } = problem;
    const way = groupedConvWay(problem.filter, groups);
    // The kernel is right also where one dense convolution is taken in its place.
    for (const convolve of way === 'dense' ? [groupedConv2d, directGroupedConv2d] : [groupedConv2d]) {
      const run = (...[a, b]: tf.Tensor[]): tf.Tensor => convolve(a as tf.Tensor4D, b as tf.Tensor4D, groups, stride, pad);
      const y = run(x, filter);
      expect(y.shape).toEqual(truth.shape);
      // Sums of up to 144 products of numbers below 1 and 0.5, or of 520.
      expect(maxDifference(await readBack(y), truth.y)).toBeLessThan(1e-5);
      const gradients = tf.grads(run)([x, filter], dy);
      expect(maxDifference(await gradients[0].data(), truth.dx)).toBeLessThan(1e-5);
      expect(maxDifference(await gradients[1].data(), truth.dFilter)).toBeLessThan(1e-5);
      tf.dispose([y, ...gradients]);
    }
    const blocks = new BlockKernels(filter, groups);
    for (let again = 0; again < 2; again++) {
      const y = groupedConv2d(x, filter, groups, stride, pad, blocks);
      expect(maxDifference(await readBack(y), truth.y)).toBeLessThan(1e-5);
      y.dispose();
    }
    blocks.dispose();
    tf.dispose([x, filter, dy]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the choice of a way on wasm', () => {
  beforeAll(() => useDevice('wasm'));

  /** The kernels that a grouped convolution runs. */
  function kernelsOf(run: () => tf.Tensor): string[] {
    const names: string[] = [];
    const engine = tf.engine() as unknown as { runKernel: (name: string, ...rest: unknown[]) => unknown };
    const original = engine.runKernel.bind(engine);
    engine.runKernel = (name, ...rest) => {
      names.push(name);
      return original(name, ...rest);
    };
    try {
      run().dispose();
    } finally {
      engine.runKernel = original;
    }
    return names;
  }

  it.skipIf(!devices.includes('wasm'))(
    'is our kernel, alone, with its gradients, where vectors hold the channels of a group',
    () => {
      for (const [side, channels, groups] of [
        [4, 256, 32],
        [7, 128, 2],
        [30, 64, 16],
        [1, 64, 8],
        [3, 512, 2],
        [1, 64, 2],
      ] as const) {
        const [x, filter] = [tf.zeros([1, side, side, channels]), tf.zeros([3, 3, channels / groups, channels])] as tf.Tensor4D[];
        const convolve = (map: tf.Tensor): tf.Tensor => groupedConv2d(map as tf.Tensor4D, filter, groups, 1, 'same');
        expect(kernelsOf(() => convolve(x))).toEqual([GROUPED_CONV2D]);
        const names = kernelsOf(() => tf.grad(convolve)(x));
        expect(names).toContain(GROUPED_CONV2D_INPUT_GRAD);
        expect(names).not.toContain('Conv2D');
        tf.dispose([x, filter]);
      }
    },
  );

  it.skipIf(!devices.includes('wasm'))('is a dense one elsewhere', () => {
    const [x, filter] = [tf.zeros([1, 7, 6, 6]), tf.zeros([3, 3, 2, 9])] as tf.Tensor4D[];
    expect(kernelsOf(() => groupedConv2d(x, filter, 3, 1, 'same'))).toContain('Conv2D');
    // The gradient of x has two channels for each group.
    const even = tf.zeros<tf.Rank.R4>([3, 3, 2, 12]);
    expect(kernelsOf(() => groupedConv2d(x, even, 3, 1, 'same'))).toEqual([GROUPED_CONV2D]);
    const gradient = tf.grad((map: tf.Tensor) => groupedConv2d(map as tf.Tensor4D, even, 3, 1, 'same'));
    expect(kernelsOf(() => gradient(x))).toContain('Conv2D');
    tf.dispose([x, filter, even]);
  });
});

describe.runIf(devices.includes('webgpu'))('the choice of a way on webgpu', () => {
  beforeAll(() => useDevice('webgpu'));

  it('is our kernel from eight groups on', () => {
    const wayOf = (groups: number) => groupedConvWay([3, 3, 64 / groups, 64], groups);
    expect([2, 4, 8, 32].map(wayOf)).toEqual(['dense', 'dense', 'direct', 'direct']);
  });
});
