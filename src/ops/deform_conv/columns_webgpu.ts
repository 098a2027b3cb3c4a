import * as tf from '@tensorflow/tfjs-core';
import { isDeterministic } from '../determinism.js';
import { ATOMIC_ADD, i32, runFlat, type FlatProgram, type WebGpuBackend, zeros } from '../kernels/webgpu_program.js';
import { type ColumnAttributes, DEFORM_COLUMNS, gradientOf, MODULATED_DEFORM_COLUMNS } from './columns.js';

type Inputs = Record<string, tf.TensorInfo>;

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** `locate(place, k, d)`: where a tap of a deformable group samples. Needs the uniforms of {@link uniformsOf} and the array `offset`. */
const LOCATE = `
  struct Tap { index : i32, base : i32, top : i32, left : i32, fy : f32, fx : f32, inside : bool };
  fn locate(place : i32, k : i32, d : i32) -> Tap {
    let row = place / uniforms.outWidth % uniforms.outHeight;
    let column = place % uniforms.outWidth;
    let index = (place * uniforms.deformableGroups + d) * uniforms.taps + k;
    let y = f32(row * uniforms.stride - uniforms.padding + k / uniforms.kernelWidth * uniforms.dilation) + offset[2 * index];
    let x = f32(column * uniforms.stride - uniforms.padding + k % uniforms.kernelWidth * uniforms.dilation) + offset[2 * index + 1];
    // Far away is as good as outside, and stays within integers.
    let top = floor(clamp(y, -4.0, f32(uniforms.height) + 4.0));
    let left = floor(clamp(x, -4.0, f32(uniforms.width) + 4.0));
    let base = place / (uniforms.outWidth * uniforms.outHeight) * uniforms.height * uniforms.width;
    let inside = y > -1.0 && x > -1.0 && y < f32(uniforms.height) && x < f32(uniforms.width);
    return Tap(index, base, i32(top), i32(left), y - top, x - left, inside);
  }
  fn isPixel(row : i32, column : i32) -> bool {
    return row >= 0 && row < uniforms.height && column >= 0 && column < uniforms.width;
  }`;

/** `pixel(tap, row, column, c)`: a value of x, 0 outside. Needs the array `x`. */
const PIXEL = `
  fn pixel(t : Tap, row : i32, column : i32, c : i32) -> f32 {
    if (!isPixel(row, column)) { return 0.0; }
    return x[(t.base + row * uniforms.width + column) * uniforms.channels + c];
  }`;

function uniformsOf(xShape: number[], o: ColumnAttributes): FlatProgram['uniforms'] {
  return {
    height: i32(xShape[1]),
    width: i32(xShape[2]),
    channels: i32(xShape[3]),
    outHeight: i32(o.outShape[0]),
    outWidth: i32(o.outShape[1]),
    places: i32(xShape[0] * o.outShape[0] * o.outShape[1]),
    taps: i32(o.kernelSize[0] * o.kernelSize[1]),
    kernelWidth: i32(o.kernelSize[1]),
    stride: i32(o.stride),
    padding: i32(o.padding),
    dilation: i32(o.dilation),
    groups: i32(o.groups),
    deformableGroups: i32(o.deformableGroups),
  };
}

/** Splits the index of a value of the columns, [G, places, K, C / G], into place, k and c. */
const SPLIT = `
        let perGroup = uniforms.channels / uniforms.groups;
        let within = index % perGroup;
        let k = index / perGroup % uniforms.taps;
        let place = index / (perGroup * uniforms.taps) % uniforms.places;
        let c = index / (perGroup * uniforms.taps * uniforms.places) * perGroup + within;
        let d = c / (uniforms.channels / uniforms.deformableGroups);`;

const named = (inputs: Inputs, ...names: string[]): FlatProgram['inputs'] =>
  names.filter((name) => inputs[name]).map((name) => ({ name, tensor: inputs[name] }));

function columns(backend: WebGpuBackend, inputs: Inputs, o: ColumnAttributes): tf.TensorInfo {
  const { x, mask } = inputs;
  const [images, , , channels] = x.shape;
  const output = [o.groups, images * o.outShape[0] * o.outShape[1], o.kernelSize[0] * o.kernelSize[1], channels / o.groups];
  return runFlat(backend, {
    key: `deformColumns_${mask ? 2 : 1}`,
    code: `${LOCATE}${PIXEL}
      fn run(index : i32) {${SPLIT}
        let t = locate(place, k, d);
        if (!t.inside) { result[index] = 0.0; return; }
        let value = (1.0 - t.fy) * ((1.0 - t.fx) * pixel(t, t.top, t.left, c) + t.fx * pixel(t, t.top, t.left + 1, c))
                  + t.fy * ((1.0 - t.fx) * pixel(t, t.top + 1, t.left, c) + t.fx * pixel(t, t.top + 1, t.left + 1, c));
        result[index] = value${mask ? ' * mask[t.index]' : ''};
      }`,
    inputs: named(inputs, 'x', 'offset', 'mask'),
    uniforms: uniformsOf(x.shape, o),
    threads: size(output),
    output,
  });
}

/** The gradient of x by atomics: one thread for each value of dy. */
function scatterInput(backend: WebGpuBackend, inputs: Inputs, o: ColumnAttributes): tf.TensorInfo {
  const { x, dy, mask } = inputs;
  return runFlat(backend, {
    key: `deformInputAtomic_${mask ? 2 : 1}`,
    code: `${LOCATE}${ATOMIC_ADD}
      fn addPixel(t : Tap, row : i32, column : i32, c : i32, v : f32) {
        if (isPixel(row, column)) { addAt((t.base + row * uniforms.width + column) * uniforms.channels + c, v); }
      }
      fn run(index : i32) {${SPLIT}
        let t = locate(place, k, d);
        if (!t.inside) { return; }
        let g = dy[index]${mask ? ' * mask[t.index]' : ''};
        addPixel(t, t.top, t.left, c, g * (1.0 - t.fy) * (1.0 - t.fx));
        addPixel(t, t.top, t.left + 1, c, g * (1.0 - t.fy) * t.fx);
        addPixel(t, t.top + 1, t.left, c, g * t.fy * (1.0 - t.fx));
        addPixel(t, t.top + 1, t.left + 1, c, g * t.fy * t.fx);
      }`,
    inputs: named(inputs, 'dy', 'offset', 'mask'),
    uniforms: uniformsOf(x.shape, o),
    threads: size(dy.shape),
    output: zeros(backend, x.shape),
    atomic: true,
  });
}

/** The gradient of x in a fixed order: one thread for each value of x looks through all taps of its image. Slow; for repeatable runs. */
function gatherInput(backend: WebGpuBackend, inputs: Inputs, o: ColumnAttributes): tf.TensorInfo {
  const { x, mask } = inputs;
  return runFlat(backend, {
    key: `deformInputGather_${mask ? 2 : 1}`,
    code: `${LOCATE}
      fn run(index : i32) {
        let perGroup = uniforms.channels / uniforms.groups;
        let c = index % uniforms.channels;
        let group = c / perGroup;
        let d = c / (uniforms.channels / uniforms.deformableGroups);
        let column = index / uniforms.channels % uniforms.width;
        let row = index / (uniforms.channels * uniforms.width) % uniforms.height;
        let area = uniforms.outHeight * uniforms.outWidth;
        let first = index / (uniforms.channels * uniforms.width * uniforms.height) * area;
        var sum = 0.0;
        for (var place = first; place < first + area; place++) {
          for (var k = 0; k < uniforms.taps; k++) {
            let t = locate(place, k, d);
            let dRow = row - t.top;
            let dColumn = column - t.left;
            if (!t.inside || dRow < 0 || dRow > 1 || dColumn < 0 || dColumn > 1) { continue; }
            let weight = select(1.0 - t.fy, t.fy, dRow == 1) * select(1.0 - t.fx, t.fx, dColumn == 1)${mask ? ' * mask[t.index]' : ''};
            sum += weight * dy[((group * uniforms.places + place) * uniforms.taps + k) * perGroup + c - group * perGroup];
          }
        }
        result[index] = sum;
      }`,
    inputs: named(inputs, 'dy', 'offset', 'mask'),
    uniforms: uniformsOf(x.shape, o),
    threads: size(x.shape),
    output: x.shape,
  });
}

/** The gradients of the offsets or of the mask: one thread for each tap adds over its channels. */
function tapGradient(backend: WebGpuBackend, inputs: Inputs, o: ColumnAttributes, what: 'offset' | 'mask'): tf.TensorInfo {
  const { x, offset, mask } = inputs;
  const store =
    what === 'mask'
      ? 'result[index] = select(0.0, (1.0 - t.fy) * ((1.0 - t.fx) * a + t.fx * b) + t.fy * ((1.0 - t.fx) * e + t.fx * f), t.inside);'
      : `let weight = ${mask ? 'mask[index]' : '1.0'};
         result[2 * index] = weight * ((1.0 - t.fx) * (e - a) + t.fx * (f - b));
         result[2 * index + 1] = weight * ((1.0 - t.fy) * (b - a) + t.fy * (f - e));`;
  return runFlat(backend, {
    key: `deformTap_${what}_${mask ? 2 : 1}`,
    code: `${LOCATE}${PIXEL}
      fn run(index : i32) {
        let k = index % uniforms.taps;
        let d = index / uniforms.taps % uniforms.deformableGroups;
        let place = index / (uniforms.taps * uniforms.deformableGroups);
        let t = locate(place, k, d);
        let perGroup = uniforms.channels / uniforms.groups;
        let perDeformable = uniforms.channels / uniforms.deformableGroups;
        // The products of dy with the four corners.
        var a = 0.0;
        var b = 0.0;
        var e = 0.0;
        var f = 0.0;
        for (var c = d * perDeformable; c < (d + 1) * perDeformable; c++) {
          let group = c / perGroup;
          let g = dy[((group * uniforms.places + place) * uniforms.taps + k) * perGroup + c - group * perGroup];
          a += g * pixel(t, t.top, t.left, c);
          b += g * pixel(t, t.top, t.left + 1, c);
          e += g * pixel(t, t.top + 1, t.left, c);
          f += g * pixel(t, t.top + 1, t.left + 1, c);
        }
        ${store}
      }`,
    inputs: named(inputs, 'dy', 'x', 'offset', ...(what === 'offset' ? ['mask'] : [])),
    uniforms: uniformsOf(x.shape, o),
    threads: size(offset.shape) / 2,
    output: what === 'mask' ? mask.shape : offset.shape,
  });
}

for (const kernelName of [DEFORM_COLUMNS, MODULATED_DEFORM_COLUMNS]) {
  tf.registerKernel({
    kernelName,
    backendName: 'webgpu',
    kernelFunc: ({ inputs, attrs, backend }) =>
      columns(backend as WebGpuBackend, inputs as Inputs, attrs as unknown as ColumnAttributes),
  });
  tf.registerKernel({
    kernelName: gradientOf(kernelName),
    backendName: 'webgpu',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const [gpu, tensors, o] = [backend as WebGpuBackend, inputs as Inputs, attrs as unknown as ColumnAttributes];
      const gradients = [
        (isDeterministic() ? gatherInput : scatterInput)(gpu, tensors, o),
        tapGradient(gpu, tensors, o, 'offset'),
      ];
      if (tensors.mask) gradients.push(tapGradient(gpu, tensors, o, 'mask'));
      return gradients;
    },
  });
}
