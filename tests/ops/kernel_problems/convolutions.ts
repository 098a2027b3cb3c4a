import * as tf from '@tensorflow/tfjs-core';
import { ConvTranspose2x2 } from '../../../src/layers/conv_transpose2d.js';
import { ConvTranspose4x4 } from '../../../src/layers/conv_transpose4x4.js';
import { Conv2d } from '../../../src/layers/conv2d.js';
import { groupedConv2d } from '../../../src/layers/grouped_conv2d.js';
import { deformConv2d, type DeformConvInputs } from '../../../src/ops/deform_conv/deform_conv.js';
import { type DeformGeometry, outputSize } from '../../../src/ops/deform_conv/geometry.js';
import { deformConvReference } from '../../../src/ops/deform_conv/reference.js';
import { type Exact, type KernelProblem, noise } from './kernel_problem.js';

type Geometry = Omit<DeformGeometry, 'kernelSize'>;

const PLAIN: Geometry = { stride: 1, padding: 0, dilation: 1, groups: 1, deformableGroups: 1 };

/** [N, H, W, C] by [kh, kw, C / groups, K]. */
function convolution(x: Exact, filter: Exact, bias: Exact | undefined, o: Geometry): Exact {
  const [images, height, width, channels] = x.shape;
  const [kh, kw, perGroup, outs] = filter.shape;
  const geometry: DeformGeometry = { ...o, kernelSize: [kh, kw] };
  const shape = [images, outputSize(height, kh, geometry), outputSize(width, kw, geometry), outs];
  const values = new Float64Array(shape.reduce((a, b) => a * b));
  for (let at = 0; at < values.length; at++) {
    const k = at % outs;
    const place = Math.floor(at / outs);
    const image = Math.floor(place / shape[2] / shape[1]);
    const first = Math.floor((k * o.groups) / outs) * perGroup;
    let sum = bias?.values[k] ?? 0;
    for (let tap = 0; tap < kh * kw; tap++) {
      const row = (Math.floor(place / shape[2]) % shape[1]) * o.stride - o.padding + Math.floor(tap / kw) * o.dilation;
      const column = (place % shape[2]) * o.stride - o.padding + (tap % kw) * o.dilation;
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      const pixel = ((image * height + row) * width + column) * channels + first;
      for (let c = 0; c < perGroup; c++) sum += x.values[pixel + c] * filter.values[(tap * perGroup + c) * outs + k];
    }
    values[at] = sum;
  }
  return { shape, values };
}

/** The transposed convolution of stride 2: output pixel 2 i + k - padding takes input pixel i times tap k. Tap (a, b) of (c, o) is `tap(a, b, c, o)`. */
function transposed(
  x: Exact,
  bias: Exact,
  side: number,
  padding: number,
  tap: (a: number, b: number, c: number, o: number) => number,
): Exact {
  const [images, height, width, channels] = x.shape;
  const outs = bias.values.length;
  const shape = [images, 2 * height, 2 * width, outs];
  const values = Float64Array.from({ length: images * 4 * height * width * outs }, (_, i) => bias.values[i % outs]);
  for (let at = 0; at < x.values.length; at++) {
    const c = at % channels;
    const j = Math.floor(at / channels) % width;
    const i = Math.floor(at / channels / width) % height;
    const image = Math.floor(at / channels / width / height);
    for (let a = 0; a < side; a++)
      for (let b = 0; b < side; b++) {
        const [row, column] = [2 * i + a - padding, 2 * j + b - padding];
        if (row < 0 || column < 0 || row >= 2 * height || column >= 2 * width) continue;
        for (let o = 0; o < outs; o++)
          values[((image * 2 * height + row) * 2 * width + column) * outs + o] += x.values[at] * tap(a, b, c, o);
      }
  }
  return { shape, values };
}

/** A convolution of the library's own layer: with dilation, with groups, with both. */
function layer(x: number[], filter: number[], o: Geometry): KernelProblem {
  const [kernelSize, , perGroup, outChannels] = filter;
  const { stride, padding, dilation, groups } = o;
  const options = { inChannels: perGroup * groups, outChannels, kernelSize, stride, padding, dilation, groups };
  return {
    inputs: [noise(x, 1), noise(filter, 2), noise([outChannels], 3)],
    run: () => new Conv2d(options),
    isLayer: true,
    definition: (map, weight, bias) => convolution(map, weight, bias, o),
  };
}

/** Two images; offsets reach outside of the map, and stay clear of whole numbers, where the gradient has a kink. */
function deformable(o: Geometry, modulated: boolean): KernelProblem {
  const [kh, kw] = [3, 2];
  const geometry: DeformGeometry = { ...o, kernelSize: [kh, kw] };
  const places = [2, outputSize(7, kh, geometry), outputSize(9, kw, geometry)];
  const offset = noise([...places, o.deformableGroups * kh * kw * 2], 3);
  offset.values = offset.values.map((v) => Math.floor(3 * v) + 0.05 + 0.9 * (3 * v - Math.floor(3 * v)));
  const inputs = [noise([2, 7, 9, 12], 1), offset, noise([kh, kw, 12 / o.groups, 6], 2), noise([6], 5)];
  if (modulated) inputs.push(noise([...places, o.deformableGroups * kh * kw], 4));
  return {
    inputs,
    run: (x, moved, weight, bias, mask) =>
      deformConv2d({ x, offset: moved, weight, bias, mask } as unknown as DeformConvInputs, o),
    definition: (x, moved, weight, bias, mask) => ({
      shape: [...places, 6],
      values: deformConvReference(x, moved.values, weight, mask?.values, bias.values, o),
    }),
  };
}

/** Places in tiles and beside them: one image larger than a tile of the gradient's search. */
function wideDeformable(): KernelProblem {
  const o = { ...PLAIN, padding: 1 };
  const offset = noise([1, 11, 19, 18], 13);
  offset.values = offset.values.map((v) => Math.floor(6 * v) + 0.05 + 0.9 * (6 * v - Math.floor(6 * v)));
  return {
    inputs: [noise([1, 11, 19, 2], 11), offset, noise([3, 3, 2, 3], 12)],
    run: (x, moved, weight) => deformConv2d({ x, offset: moved, weight } as unknown as DeformConvInputs, o),
    definition: (x, moved, weight) => ({
      shape: [1, 11, 19, 3],
      values: deformConvReference(x, moved.values, weight, undefined, undefined, o),
    }),
  };
}

function grouped(x: number[], filter: number[], groups: number, stride: number): KernelProblem {
  return {
    inputs: [noise(x, 1), noise(filter, 2)],
    run: (map, weight) => groupedConv2d(map as tf.Tensor4D, weight as tf.Tensor4D, groups, stride, 'valid'),
    definition: (map, weight) => convolution(map, weight, undefined, { ...PLAIN, stride, groups }),
  };
}

export const CONVOLUTIONS: Record<string, KernelProblem> = {
  'grouped convolution, 2 groups': grouped([2, 5, 6, 8], [3, 3, 4, 8], 2, 1),
  'grouped convolution, stride 2': grouped([1, 7, 6, 6], [3, 3, 2, 9], 3, 2),
  'grouped convolution, 16 groups': grouped([1, 5, 4, 32], [3, 3, 2, 64], 16, 1),
  'grouped convolution, 16 groups, stride 2': grouped([2, 7, 6, 32], [3, 2, 2, 64], 16, 2),
  'grouped convolution, 16 groups, padded': {
    ...grouped([1, 5, 4, 64], [3, 3, 4, 64], 16, 1),
    run: (map, weight) => groupedConv2d(map as tf.Tensor4D, weight as tf.Tensor4D, 16, 1, 'same'),
    definition: (map, weight) => convolution(map, weight, undefined, { ...PLAIN, padding: 1, groups: 16 }),
  },
  'grouped convolution, 16 groups, 1x1': grouped([2, 5, 4, 128], [1, 1, 8, 128], 16, 1),
  'convolution, stride 2': layer([1, 7, 6, 3], [3, 3, 3, 4], { ...PLAIN, stride: 2, padding: 1 }),
  'convolution of many pixels': layer([1, 13, 14, 8], [3, 3, 8, 8], { ...PLAIN, padding: 1 }),
  'dilated convolution': layer([2, 7, 10, 4], [3, 3, 4, 6], { ...PLAIN, padding: 2, dilation: 2 }),
  'dilated convolution, sides that 3 divides': layer([2, 6, 9, 4], [3, 3, 4, 6], { ...PLAIN, padding: 3, dilation: 3 }),
  'dilated convolution, little padding': layer([2, 7, 10, 4], [3, 3, 4, 6], { ...PLAIN, padding: 1, dilation: 2 }),
  'dilated convolution, filter 2': layer([2, 7, 10, 4], [2, 2, 4, 6], { ...PLAIN, padding: 2, dilation: 3 }),
  'dilated convolution, 2 groups': layer([2, 7, 10, 4], [3, 3, 2, 6], { ...PLAIN, padding: 2, dilation: 2, groups: 2 }),
  'deformable convolution': deformable({ ...PLAIN, padding: 1 }, false),
  'deformable convolution, several tiles': wideDeformable(),
  'modulated deformable convolution, groups that cut across': deformable(
    { ...PLAIN, groups: 2, deformableGroups: 3, dilation: 2 },
    true,
  ),
  'modulated deformable convolution, stride 2': deformable(
    { ...PLAIN, groups: 3, deformableGroups: 2, stride: 2, padding: 2 },
    true,
  ),
  'transposed convolution 2x2': {
    inputs: [noise([2, 3, 4, 3], 1), noise([3, 2, 2, 5], 2), noise([5], 3)],
    run: () => new ConvTranspose2x2(3, 5),
    isLayer: true,
    definition: (x, { shape: [, , , outs], values }, bias) => {
      const y = transposed(x, bias, 2, 0, (a, b, c, o) => values[((c * 2 + a) * 2 + b) * outs + o]);
      return { ...y, values: y.values.map((v) => Math.max(0, v)) };
    },
  },
  'transposed convolution 4x4': {
    inputs: [noise([1, 2, 3, 2], 1), noise([4, 4, 3, 2], 2), noise([3], 3)],
    run: () => new ConvTranspose4x4(2, 3),
    isLayer: true,
    definition: (x, { shape: [, , outs, ins], values }, bias) =>
      transposed(x, bias, 4, 1, (a, b, c, o) => values[((a * 4 + b) * outs + o) * ins + c]),
  },
};
