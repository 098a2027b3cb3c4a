import * as tf from '@tensorflow/tfjs-core';
import { isDeterministic } from '../determinism.js';
import {
  ATOMIC_ADD,
  CEIL_OF_QUOTIENT,
  f32,
  hostValues,
  i32,
  runFlat,
  SINE_AND_COSINE,
  type FlatProgram,
  type WebGpuBackend,
  zeros,
} from '../kernels/webgpu_program.js';
import { ROTATED_ROI_ALIGN, ROTATED_ROI_ALIGN_GRAD, type RotatedRoiAlignAttributes } from './kernel_names.js';
import { checkImages } from './samples.js';

type Inputs = Record<string, tf.TensorInfo>;

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * `open(r)`: a region; `sampleAt(region, p, q, i, j)`: its sample as two pixels per axis and fractions, `low.x` (the row) negative where outside.
 * Needs the array `rois` and the uniforms below.
 */
const SAMPLES = `${SINE_AND_COSINE}${CEIL_OF_QUOTIENT}
  struct Region { image : i32, centre : vec2<f32>, extent : vec2<f32>, sine : f32, cosine : f32, samples : vec2<i32> };
  struct Sample { low : vec2<i32>, high : vec2<i32>, fraction : vec2<f32> };
  fn open(r : i32) -> Region {
    let at = 6 * r;
    let centre = vec2<f32>(rois[at + 2], rois[at + 1]) * uniforms.scale - 0.5;
    let extent = vec2<f32>(rois[at + 4], rois[at + 3]) * uniforms.scale;
    let degrees = rois[at + 5];
    let turn = sineAndCosine(degrees);
    let fixed = uniforms.samplingRatio;
    let adaptive = vec2<i32>(vec2<f32>(
      ceilOfQuotient(extent.x, f32(uniforms.outHeight)), ceilOfQuotient(extent.y, f32(uniforms.outWidth))));
    var samples = select(adaptive, vec2<i32>(fixed, fixed), fixed > 0);
    // Written so that NaN and infinity count as no samples.
    if (!(all(abs(centre) < vec2<f32>(1e30)) && all(abs(extent) < vec2<f32>(1e30)) && abs(degrees) < 1e30)) { samples = vec2<i32>(0, 0); }
    if (!(rois[at] >= 0.0 && rois[at] < f32(uniforms.images))) { samples = vec2<i32>(0, 0); }
    return Region(i32(rois[at]), centre, extent, turn.x, turn.y, samples);
  }
  fn sampleAt(region : Region, p : i32, q : i32, i : i32, j : i32) -> Sample {
    let bin = region.extent / vec2<f32>(f32(uniforms.outHeight), f32(uniforms.outWidth));
    let own = -region.extent / 2.0 + vec2<f32>(f32(p), f32(q)) * bin
            + vec2<f32>(f32(i) + 0.5, f32(j) + 0.5) * bin / vec2<f32>(region.samples);
    let place = vec2<f32>(own.x * region.cosine - own.y * region.sine, own.x * region.sine + own.y * region.cosine) + region.centre;
    let last = vec2<f32>(f32(uniforms.height), f32(uniforms.width));
    if (!(all(place >= vec2<f32>(-1.0)) && all(place <= last))) { return Sample(vec2<i32>(-1), vec2<i32>(-1), vec2<f32>(0.0)); }
    let inside = clamp(place, vec2<f32>(0.0), last - 1.0);
    let low = vec2<i32>(inside);
    return Sample(low, min(low + 1, vec2<i32>(last) - 1), inside - vec2<f32>(low));
  }`;

const named = (inputs: Inputs, ...names: string[]): FlatProgram['inputs'] =>
  names.map((name) => ({ name, tensor: inputs[name] }));

function uniformsOf(
  { outputSize, spatialScale, samplingRatio, shape }: RotatedRoiAlignAttributes,
  regions: number,
): FlatProgram['uniforms'] {
  return {
    images: i32(shape[0]),
    height: i32(shape[1]),
    width: i32(shape[2]),
    channels: i32(shape[3]),
    outHeight: i32(outputSize[0]),
    outWidth: i32(outputSize[1]),
    samplingRatio: i32(samplingRatio),
    regions: i32(regions),
    scale: f32(spatialScale),
  };
}

/** Splits the index of a pooled value into region, bin and channel. */
const SPLIT = `
        let c = index % uniforms.channels;
        let bin = index / uniforms.channels;
        let q = bin % uniforms.outWidth;
        let p = bin / uniforms.outWidth % uniforms.outHeight;
        let region = open(bin / (uniforms.outWidth * uniforms.outHeight));
        let share = 1.0 / f32(max(region.samples.x * region.samples.y, 1));`;

function forward(backend: WebGpuBackend, inputs: Inputs, o: RotatedRoiAlignAttributes): tf.TensorInfo {
  const output = [inputs.rois.shape[0], ...o.outputSize, o.shape[3]];
  if (size(output) === 0) return backend.makeTensorInfo(output, 'float32', new Float32Array(0));
  const known = hostValues(backend, inputs.rois);
  if (known) checkImages(known as Float32Array, o.shape[0]);
  return runFlat(backend, {
    key: 'rotatedRoiAlign',
    code: `${SAMPLES}
      fn pixel(image : i32, row : i32, column : i32, c : i32) -> f32 {
        return x[((image * uniforms.height + row) * uniforms.width + column) * uniforms.channels + c];
      }
      fn run(index : i32) {${SPLIT}
        var sum = 0.0;
        for (var i = 0; i < region.samples.x; i++) {
          for (var j = 0; j < region.samples.y; j++) {
            let s = sampleAt(region, p, q, i, j);
            if (s.low.x < 0) { continue; }
            sum += (1.0 - s.fraction.x) * ((1.0 - s.fraction.y) * pixel(region.image, s.low.x, s.low.y, c) + s.fraction.y * pixel(region.image, s.low.x, s.high.y, c))
                 + s.fraction.x * ((1.0 - s.fraction.y) * pixel(region.image, s.high.x, s.low.y, c) + s.fraction.y * pixel(region.image, s.high.x, s.high.y, c));
          }
        }
        result[index] = sum * share;
      }`,
    inputs: named(inputs, 'x', 'rois'),
    uniforms: uniformsOf(o, inputs.rois.shape[0]),
    threads: size(output),
    output,
  });
}

function scatter(backend: WebGpuBackend, inputs: Inputs, o: RotatedRoiAlignAttributes): tf.TensorInfo {
  return runFlat(backend, {
    key: 'rotatedRoiAlignGradAtomic',
    code: `${SAMPLES}${ATOMIC_ADD}
      fn addPixel(image : i32, row : i32, column : i32, c : i32, v : f32) {
        addAt(((image * uniforms.height + row) * uniforms.width + column) * uniforms.channels + c, v);
      }
      fn run(index : i32) {${SPLIT}
        let g = dy[index] * share;
        for (var i = 0; i < region.samples.x; i++) {
          for (var j = 0; j < region.samples.y; j++) {
            let s = sampleAt(region, p, q, i, j);
            if (s.low.x < 0) { continue; }
            addPixel(region.image, s.low.x, s.low.y, c, g * (1.0 - s.fraction.x) * (1.0 - s.fraction.y));
            addPixel(region.image, s.low.x, s.high.y, c, g * (1.0 - s.fraction.x) * s.fraction.y);
            addPixel(region.image, s.high.x, s.low.y, c, g * s.fraction.x * (1.0 - s.fraction.y));
            addPixel(region.image, s.high.x, s.high.y, c, g * s.fraction.x * s.fraction.y);
          }
        }
      }`,
    inputs: named(inputs, 'dy', 'rois'),
    uniforms: uniformsOf(o, inputs.rois.shape[0]),
    threads: size(inputs.dy.shape),
    output: zeros(backend, o.shape),
    atomic: true,
  });
}

/** In a fixed order: one thread for each value of x looks through all samples of the regions that reach its pixel. */
function gather(backend: WebGpuBackend, inputs: Inputs, o: RotatedRoiAlignAttributes): tf.TensorInfo {
  return runFlat(backend, {
    key: 'rotatedRoiAlignGradGather',
    code: `${SAMPLES}
      fn run(index : i32) {
        let c = index % uniforms.channels;
        let column = index / uniforms.channels % uniforms.width;
        let row = index / (uniforms.channels * uniforms.width) % uniforms.height;
        let image = index / (uniforms.channels * uniforms.width * uniforms.height);
        var sum = 0.0;
        for (var r = 0; r < uniforms.regions; r++) {
          let region = open(r);
          // Two more than half the diagonal: bilinear weights, and samples just outside that count for the border.
          let away = distance(vec2<f32>(f32(row), f32(column)), region.centre) - length(region.extent) / 2.0;
          if (region.image != image || away > 3.0) { continue; }
          var part = 0.0;
          for (var bin = 0; bin < uniforms.outHeight * uniforms.outWidth; bin++) {
            let p = bin / uniforms.outWidth;
            let q = bin % uniforms.outWidth;
            var weight = 0.0;
            for (var i = 0; i < region.samples.x; i++) {
              for (var j = 0; j < region.samples.y; j++) {
                let s = sampleAt(region, p, q, i, j);
                if (s.low.x < 0) { continue; }
                let wy = select(0.0, 1.0 - s.fraction.x, s.low.x == row) + select(0.0, s.fraction.x, s.high.x == row);
                let wx = select(0.0, 1.0 - s.fraction.y, s.low.y == column) + select(0.0, s.fraction.y, s.high.y == column);
                weight += wy * wx;
              }
            }
            if (weight != 0.0) { part += weight * dy[(r * uniforms.outHeight * uniforms.outWidth + bin) * uniforms.channels + c]; }
          }
          sum += part / f32(max(region.samples.x * region.samples.y, 1));
        }
        result[index] = sum;
      }`,
    inputs: named(inputs, 'dy', 'rois'),
    uniforms: uniformsOf(o, inputs.rois.shape[0]),
    threads: size(o.shape),
    output: o.shape,
  });
}

tf.registerKernel({
  kernelName: ROTATED_ROI_ALIGN,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend }) =>
    forward(backend as WebGpuBackend, inputs as Inputs, attrs as unknown as RotatedRoiAlignAttributes),
});

tf.registerKernel({
  kernelName: ROTATED_ROI_ALIGN_GRAD,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const [gpu, tensors, o] = [backend as WebGpuBackend, inputs as Inputs, attrs as unknown as RotatedRoiAlignAttributes];
    if (size(tensors.dy.shape) === 0) return zeros(gpu, o.shape);
    return (isDeterministic() ? gather : scatter)(gpu, tensors, o);
  },
});
