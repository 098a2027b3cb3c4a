import * as tf from '@tensorflow/tfjs-core';
import { type CpuBackend, valuesOf } from '../../backends/kernels/cpu_values.js';
import {
  GROUPED_CONV2D,
  GROUPED_CONV2D_FILTER_GRAD,
  GROUPED_CONV2D_INPUT_GRAD,
  type GroupedConvAttributes,
} from './kernel_names.js';

/** Calls `visit` where one channel of x meets a group's weights: its place in x, and where the weights and the outputs of the group begin. */
function forEachChannel(
  xShape: readonly number[],
  filterShape: readonly number[],
  o: GroupedConvAttributes,
  visit: (x: number, weights: number, y: number) => void,
): void {
  const [images, height, width, channels] = xShape;
  const [kernelHeight, kernelWidth, perGroup, outs] = filterShape;
  const outPerGroup = outs / o.groups;
  for (let n = 0, y = 0; n < images; n++) {
    for (let p = 0; p < o.outShape[0]; p++) {
      for (let q = 0; q < o.outShape[1]; q++, y += outs) {
        for (let i = 0; i < kernelHeight; i++) {
          const row = p * o.stride - o.padding[0] + i;
          if (row < 0 || row >= height) continue;
          for (let j = 0; j < kernelWidth; j++) {
            const column = q * o.stride - o.padding[1] + j;
            if (column < 0 || column >= width) continue;
            const tap = (i * kernelWidth + j) * perGroup * outs;
            let x = ((n * height + row) * width + column) * channels;
            for (let out = 0; out < outs; out += outPerGroup) {
              for (let c = 0; c < perGroup; c++, x++) visit(x, tap + c * outs + out, y + out);
            }
          }
        }
      }
    }
  }
}

type Inputs = Record<'dy' | 'x' | 'filter', tf.TensorInfo>;

const sumsOf = (shape: readonly number[]): Float64Array => new Float64Array(shape.reduce((a, b) => a * b, 1));

// Sums in double precision, as those of the convolutions without groups.
tf.registerKernel({
  kernelName: GROUPED_CONV2D,
  backendName: 'cpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const [cpu, { x, filter }, o] = [backend as CpuBackend, inputs as Inputs, attrs as unknown as GroupedConvAttributes];
    const [maps, weights, count] = [valuesOf(cpu, x), valuesOf(cpu, filter), filter.shape[3] / o.groups];
    const shape = [x.shape[0], ...o.outShape, filter.shape[3]];
    const sums = sumsOf(shape);
    forEachChannel(x.shape, filter.shape, o, (at, from, to) => {
      const value = maps[at];
      for (let k = 0; k < count; k++) sums[to + k] += value * weights[from + k];
    });
    return cpu.makeTensorInfo(shape, 'float32', Float32Array.from(sums));
  },
});

tf.registerKernel({
  kernelName: GROUPED_CONV2D_INPUT_GRAD,
  backendName: 'cpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const [cpu, { dy, x, filter }, o] = [backend as CpuBackend, inputs as Inputs, attrs as unknown as GroupedConvAttributes];
    const [gradient, weights, count] = [valuesOf(cpu, dy), valuesOf(cpu, filter), filter.shape[3] / o.groups];
    const sums = sumsOf(x.shape);
    forEachChannel(x.shape, filter.shape, o, (to, at, from) => {
      let sum = 0;
      for (let k = 0; k < count; k++) sum += weights[at + k] * gradient[from + k];
      sums[to] += sum;
    });
    return cpu.makeTensorInfo(x.shape, 'float32', Float32Array.from(sums));
  },
});

tf.registerKernel({
  kernelName: GROUPED_CONV2D_FILTER_GRAD,
  backendName: 'cpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const [cpu, { dy, x, filter }, o] = [backend as CpuBackend, inputs as Inputs, attrs as unknown as GroupedConvAttributes];
    const [gradient, maps, count] = [valuesOf(cpu, dy), valuesOf(cpu, x), filter.shape[3] / o.groups];
    const sums = sumsOf(filter.shape);
    forEachChannel(x.shape, filter.shape, o, (at, to, from) => {
      const value = maps[at];
      for (let k = 0; k < count; k++) sums[to + k] += value * gradient[from + k];
    });
    return cpu.makeTensorInfo(filter.shape, 'float32', Float32Array.from(sums));
  },
});
