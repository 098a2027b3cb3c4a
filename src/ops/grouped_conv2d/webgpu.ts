import * as tf from '@tensorflow/tfjs-core';
import { i32, runFlat, type WebGpuBackend } from '../kernels/webgpu_program.js';
import {
  GROUPED_CONV2D,
  GROUPED_CONV2D_FILTER_GRAD,
  GROUPED_CONV2D_INPUT_GRAD,
  type GroupedConvAttributes,
} from './kernel_names.js';
import { groupedConvSizes, size, STRETCHES } from './sizes.js';

/** Channels that a thread takes at once: 4 where those of a group are a multiple of 4. */
const componentsFor = (perGroup: number): 1 | 4 => (perGroup % 4 === 0 ? 4 : 1);

/** One thread for each place and 1 or 4 channels of the output. */
function forward(backend: WebGpuBackend, x: tf.TensorInfo, filter: tf.TensorInfo, o: GroupedConvAttributes): tf.TensorInfo {
  const output = [x.shape[0], ...o.outShape, filter.shape[3]];
  const components = componentsFor(filter.shape[3] / o.groups);
  const type = components === 4 ? 'vec4<f32>' : 'f32';
  return runFlat(backend, {
    key: `groupedConv_${components}`,
    code: `
      fn run(index : i32) {
        let outs = uniforms.outPerGroup * uniforms.groups / ${components};
        let k = index % outs;
        let place = index / outs;
        let column = place % uniforms.outWidth * uniforms.stride - uniforms.left;
        let row = place / uniforms.outWidth % uniforms.outHeight * uniforms.stride - uniforms.top;
        let image = place / (uniforms.outWidth * uniforms.outHeight);
        let group = k * ${components} / uniforms.outPerGroup;
        let channels = uniforms.perGroup * uniforms.groups;
        var sum = ${type}(0.0);
        for (var i = 0; i < uniforms.kernelHeight; i++) {
          let y = row + i;
          if (y < 0 || y >= uniforms.height) { continue; }
          for (var j = 0; j < uniforms.kernelWidth; j++) {
            let u = column + j;
            if (u < 0 || u >= uniforms.width) { continue; }
            let start = ((image * uniforms.height + y) * uniforms.width + u) * channels + group * uniforms.perGroup;
            let tap = (i * uniforms.kernelWidth + j) * uniforms.perGroup;
            for (var c = 0; c < uniforms.perGroup; c++) { sum += x[start + c] * kernel[(tap + c) * outs + k]; }
          }
        }
        result[index] = sum;
      }`,
    inputs: [
      { name: 'x', tensor: x },
      { name: 'kernel', tensor: filter, components },
    ],
    uniforms: groupedConvSizes(x.shape, filter.shape, o, i32),
    threads: size(output) / components,
    output,
    outputComponents: components,
  });
}

/** One thread for each value of x. */
function inputGradient(backend: WebGpuBackend, dy: tf.TensorInfo, x: number[], filter: tf.TensorInfo, o: GroupedConvAttributes) {
  const components = componentsFor(filter.shape[3] / o.groups);
  const product = components === 4 ? 'dot(dy[start + k], kernel[at + k])' : 'dy[start + k] * kernel[at + k]';
  return runFlat(backend, {
    key: `groupedConvInput_${components}`,
    code: `
      fn run(index : i32) {
        let channels = uniforms.perGroup * uniforms.groups;
        let channel = index % channels;
        let group = channel / uniforms.perGroup;
        let c = channel % uniforms.perGroup;
        let place = index / channels;
        let column = place % uniforms.width + uniforms.left;
        let row = place / uniforms.width % uniforms.height + uniforms.top;
        let image = place / (uniforms.width * uniforms.height);
        let perGroup = uniforms.outPerGroup / ${components};
        let outs = perGroup * uniforms.groups;
        var sum = 0.0;
        for (var i = 0; i < uniforms.kernelHeight; i++) {
          let y = (row - i) / uniforms.stride;
          if (row < i || y * uniforms.stride != row - i || y >= uniforms.outHeight) { continue; }
          for (var j = 0; j < uniforms.kernelWidth; j++) {
            let u = (column - j) / uniforms.stride;
            if (column < j || u * uniforms.stride != column - j || u >= uniforms.outWidth) { continue; }
            let start = ((image * uniforms.outHeight + y) * uniforms.outWidth + u) * outs + group * perGroup;
            let at = ((i * uniforms.kernelWidth + j) * uniforms.perGroup + c) * outs + group * perGroup;
            for (var k = 0; k < perGroup; k++) { sum += ${product}; }
          }
        }
        result[index] = sum;
      }`,
    inputs: [
      { name: 'dy', tensor: dy, components },
      { name: 'kernel', tensor: filter, components },
    ],
    uniforms: groupedConvSizes(x, filter.shape, o, i32),
    threads: size(x),
    output: x,
  });
}

/** First one thread for each stretch of places and 1 or 4 values of the filter, then the stretches in order: the same bits from run to run. */
function filterGradient(backend: WebGpuBackend, dy: tf.TensorInfo, x: tf.TensorInfo, filter: number[], o: GroupedConvAttributes) {
  const components = componentsFor(filter[3] / o.groups);
  const type = components === 4 ? 'vec4<f32>' : 'f32';
  const places = x.shape[0] * size(o.outShape);
  const stretches = Math.min(STRETCHES, places);
  const values = size(filter) / components;
  const parts = runFlat(backend, {
    key: `groupedConvFilter_${components}`,
    code: `
      fn run(index : i32) {
        let outs = uniforms.outPerGroup * uniforms.groups / ${components};
        let k = index % outs;
        let c = index / outs % uniforms.perGroup;
        let j = index / (outs * uniforms.perGroup) % uniforms.kernelWidth;
        let i = index / (outs * uniforms.perGroup * uniforms.kernelWidth) % uniforms.kernelHeight;
        let stretch = index / (outs * uniforms.perGroup * uniforms.kernelWidth * uniforms.kernelHeight);
        let group = k * ${components} / uniforms.outPerGroup;
        let channels = uniforms.perGroup * uniforms.groups;
        let last = min((stretch + 1) * uniforms.length, uniforms.places);
        var sum = ${type}(0.0);
        for (var place = stretch * uniforms.length; place < last; place++) {
          let u = place % uniforms.outWidth * uniforms.stride - uniforms.left + j;
          let y = place / uniforms.outWidth % uniforms.outHeight * uniforms.stride - uniforms.top + i;
          if (y < 0 || y >= uniforms.height || u < 0 || u >= uniforms.width) { continue; }
          let image = place / (uniforms.outWidth * uniforms.outHeight);
          sum += x[((image * uniforms.height + y) * uniforms.width + u) * channels + group * uniforms.perGroup + c] * dy[place * outs + k];
        }
        result[index] = sum;
      }`,
    inputs: [
      { name: 'x', tensor: x },
      { name: 'dy', tensor: dy, components },
    ],
    uniforms: { ...groupedConvSizes(x.shape, filter, o, i32), places: i32(places), length: i32(Math.ceil(places / stretches)) },
    threads: stretches * values,
    output: [stretches, ...filter],
    outputComponents: components,
  });
  const gradient = runFlat(backend, {
    key: `groupedConvStretches_${components}`,
    code: `
      fn run(index : i32) {
        var sum = ${type}(0.0);
        for (var s = 0; s < uniforms.stretches; s++) { sum += parts[s * uniforms.values + index]; }
        result[index] = sum;
      }`,
    inputs: [{ name: 'parts', tensor: parts, components }],
    uniforms: { stretches: i32(stretches), values: i32(values) },
    threads: values,
    output: filter,
    outputComponents: components,
  });
  backend.disposeData(parts.dataId);
  return gradient;
}

type Inputs = Record<'dy' | 'x' | 'filter', tf.TensorInfo>;

tf.registerKernel({
  kernelName: GROUPED_CONV2D,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const { x, filter } = inputs as Inputs;
    return forward(backend as WebGpuBackend, x, filter, attrs as unknown as GroupedConvAttributes);
  },
});

tf.registerKernel({
  kernelName: GROUPED_CONV2D_INPUT_GRAD,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const { dy, x, filter } = inputs as Inputs;
    return inputGradient(backend as WebGpuBackend, dy, x.shape, filter, attrs as unknown as GroupedConvAttributes);
  },
});

tf.registerKernel({
  kernelName: GROUPED_CONV2D_FILTER_GRAD,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const { dy, x, filter } = inputs as Inputs;
    return filterGradient(backend as WebGpuBackend, dy, x, filter.shape, attrs as unknown as GroupedConvAttributes);
  },
});
