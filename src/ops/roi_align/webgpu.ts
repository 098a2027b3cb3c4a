import * as tf from '@tensorflow/tfjs-core';
import { isDeterministic } from '../determinism.js';
import { ATOMIC_ADD, CEIL_OF_QUOTIENT, hostValues, i32, runFlat, type WebGpuBackend, zeros } from '../kernels/webgpu_program.js';
import { regionGeometry } from './geometry.js';
import { MULTILEVEL_ROI_ALIGN, MULTILEVEL_ROI_ALIGN_GRAD, type RoiAlignCall } from './kernel_names.js';
import { assignLevels, CANONICAL_BOX_SIZE, CANONICAL_LEVEL, type LevelRange } from './levels.js';

/** WebGPU guarantees 8 storage buffers to a program: the result, the regions, and these maps. */
const MAPS_PER_PROGRAM = 6;

/** Floats of one region: y, x, bin height, bin width, samples y, samples x, image, level. */
const WORDS = 8;

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** `at(v, size)`: one bilinear sample along an axis as (low, high, fraction); low is negative where it is outside. */
const SAMPLE = `
  struct Sample { low : i32, high : i32, fraction : f32 };
  fn sampleAt(start : f32, bin : f32, b : i32, i : i32, count : i32, size : i32) -> Sample {
    let v = (start + f32(b) * bin) + (f32(i) + 0.5) * bin / f32(count);
    if (!(v >= -1.0 && v <= f32(size))) { return Sample(-1, -1, 0.0); }
    let inside = max(v, 0.0);
    let low = i32(inside);
    if (low >= size - 1) { return Sample(size - 1, size - 1, 0.0); }
    return Sample(low, low + 1, inside - f32(low));
  }`;

/** Where the regions lie. */
interface Regions {
  /** [R, 8] as {@link WORDS} says. */
  records: tf.TensorInfo;
  /** Each region's level; undefined where only the GPU knows. */
  levels: Int32Array | undefined;
}

/**
 * The regions' records. From the host's coordinates where they are there, with the rounding of the C++; else on the GPU, whose division
 * may differ in the last bit.
 */
function placeRegions(backend: WebGpuBackend, rois: tf.TensorInfo, call: RoiAlignCall): Regions {
  const count = rois.shape[0];
  const values = hostValues(backend, rois) as Float32Array | undefined;
  const given = call.levels instanceof Int32Array ? call.levels : undefined;
  if (values) {
    const range = call.levels as LevelRange;
    const levels = given ?? assignLevels(values, range.minLevel, range.maxLevel);
    const records = new Float32Array(count * WORDS);
    const { y, x, binHeight, binWidth, samplesY, samplesX, image } = regionGeometry(values, levels, call.shapes, call);
    for (let k = 0; k < count; k++)
      records.set([y[k], x[k], binHeight[k], binWidth[k], samplesY[k], samplesX[k], image[k], levels[k]], k * WORDS);
    return { records: backend.makeTensorInfo([count, WORDS], 'float32', records), levels };
  }
  return { records: recordsOnGpu(backend, rois, call, given), levels: given };
}

function recordsOnGpu(
  backend: WebGpuBackend,
  rois: tf.TensorInfo,
  call: RoiAlignCall,
  given: Int32Array | undefined,
): tf.TensorInfo {
  const { shapes, outputSize, spatialScales, samplingRatio, aligned } = call;
  const { minLevel, maxLevel } = given ? { minLevel: 0, maxLevel: 0 } : (call.levels as LevelRange);
  // A level's number is that of its map; one that is given stands for each region, else the program finds it.
  const levels = backend.makeTensorInfo([given?.length ?? 1], 'float32', given ? Float32Array.from(given) : new Float32Array(1));
  const scales = backend.makeTensorInfo([spatialScales.length], 'float32', Float32Array.from(spatialScales));
  const records = runFlat(backend, {
    key: `roiAlignRegions_${given ? 'given' : 'range'}`,
    code: `${CEIL_OF_QUOTIENT}
      fn levelOf(r : i32) -> f32 {
        ${
          given
            ? 'return levels[r];'
            : `let area = (rois[5 * r + 3] - rois[5 * r + 1]) * (rois[5 * r + 4] - rois[5 * r + 2]);
        if (!(area >= 0.0)) { return f32(-uniforms.minLevel); }
        // By comparison with the powers of two: the GPU's logarithm is too coarse at them. One last bit is what log2 rounds away.
        let size = sqrt(area) / ${CANONICAL_BOX_SIZE}.0 + 1e-8;
        var level = uniforms.minLevel;
        while (level < uniforms.maxLevel && size >= exp2(f32(level + 1 - ${CANONICAL_LEVEL})) * 0.99999994) { level += 1; }
        return f32(level - uniforms.minLevel);`
        }
      }
      fn run(r : i32) {
        let level = levelOf(r);
        let scale = scales[max(i32(level), 0)];
        let offset = select(0.0, 0.5, uniforms.aligned == 1);
        let image = rois[5 * r];
        let x = rois[5 * r + 1] * scale - offset;
        let y = rois[5 * r + 2] * scale - offset;
        var width = rois[5 * r + 3] * scale - offset - x;
        var height = rois[5 * r + 4] * scale - offset - y;
        if (uniforms.aligned == 0) { width = max(width, 1.0); height = max(height, 1.0); }
        let binHeight = height / f32(uniforms.outHeight);
        let binWidth = width / f32(uniforms.outWidth);
        let known = level >= 0.0 && image >= 0.0 && image < f32(uniforms.images);
        // Written so that NaN and infinity count as no samples.
        let finiteY = abs(y) < 1e30 && abs(binHeight) < 1e30;
        let finiteX = abs(x) < 1e30 && abs(binWidth) < 1e30;
        let fixed = f32(uniforms.samplingRatio);
        let samplesY = select(ceilOfQuotient(height, f32(uniforms.outHeight)), fixed, fixed > 0.0);
        let samplesX = select(ceilOfQuotient(width, f32(uniforms.outWidth)), fixed, fixed > 0.0);
        let at = 8 * r;
        result[at] = y;
        result[at + 1] = x;
        result[at + 2] = binHeight;
        result[at + 3] = binWidth;
        result[at + 4] = select(0.0, samplesY, known && finiteY);
        result[at + 5] = select(0.0, samplesX, known && finiteX);
        result[at + 6] = image;
        result[at + 7] = level;
      }`,
    inputs: [
      { name: 'rois', tensor: rois },
      { name: 'scales', tensor: scales },
      ...(given ? [{ name: 'levels', tensor: levels }] : []),
    ],
    uniforms: {
      outHeight: i32(outputSize[0]),
      outWidth: i32(outputSize[1]),
      images: i32(shapes[0][0]),
      samplingRatio: i32(samplingRatio),
      aligned: i32(aligned ? 1 : 0),
      minLevel: i32(minLevel),
      maxLevel: i32(maxLevel),
    },
    threads: rois.shape[0],
    output: [rois.shape[0], WORDS],
  });
  for (const { dataId } of [levels, scales]) backend.disposeData(dataId);
  return records;
}

/** Pools the regions whose level is among `maps`, which begin at level `first`; the first program also writes the rows of no level. */
function forward(
  backend: WebGpuBackend,
  maps: tf.TensorInfo[],
  records: tf.TensorInfo,
  first: number,
  output: number[] | tf.TensorInfo,
): tf.TensorInfo {
  const [rows, outHeight, outWidth, channels] = Array.isArray(output) ? output : output.shape;
  const components = channels % 4 === 0 ? 4 : 1;
  const type = components === 4 ? 'vec4<f32>' : 'f32';
  const sizes = Object.fromEntries(
    maps.flatMap(({ shape }, k) => [
      [`height${k}`, i32(shape[1])],
      [`width${k}`, i32(shape[2])],
    ]),
  );
  const body = (k: number) => `
    case ${k} {
      let H = uniforms.height${k};
      let W = uniforms.width${k};
      let base = i32(regions[at + 6]) * H * W;
      for (var i = 0; i < samplesY; i++) {
        let sy = sampleAt(regions[at], regions[at + 2], p, i, samplesY, H);
        if (sy.low < 0) { continue; }
        let top = base + sy.low * W;
        let bottom = base + sy.high * W;
        for (var j = 0; j < samplesX; j++) {
          let sx = sampleAt(regions[at + 1], regions[at + 3], q, j, samplesX, W);
          if (sx.low < 0) { continue; }
          sum += (1.0 - sy.fraction) * ((1.0 - sx.fraction) * map${k}[(top + sx.low) * C + c] + sx.fraction * map${k}[(top + sx.high) * C + c])
               + sy.fraction * ((1.0 - sx.fraction) * map${k}[(bottom + sx.low) * C + c] + sx.fraction * map${k}[(bottom + sx.high) * C + c]);
        }
      }
    }`;
  return runFlat(backend, {
    key: `roiAlign_${maps.length}_${components}`,
    code: `${SAMPLE}
      fn run(index : i32) {
        let C = uniforms.channels;
        let c = index % C;
        let bin = index / C;
        let q = bin % uniforms.outWidth;
        let p = bin / uniforms.outWidth % uniforms.outHeight;
        let at = bin / (uniforms.outWidth * uniforms.outHeight) * 8;
        let samplesY = i32(regions[at + 4]);
        let samplesX = i32(regions[at + 5]);
        let level = i32(regions[at + 7]) - uniforms.first;
        // Rows of no map are the first program's; a later program leaves the rows of others alone.
        if (level >= ${maps.length} || (level < 0 && uniforms.first > 0)) { return; }
        var sum = ${type}(0.0);
        switch (level) { ${maps.map((_, k) => body(k)).join('')}
          default { }
        }
        result[index] = sum / f32(max(samplesY * samplesX, 1));
      }`,
    inputs: [
      { name: 'regions', tensor: records },
      ...maps.map((tensor, k) => ({ name: `map${k}`, tensor, components: components as 1 | 4 })),
    ],
    uniforms: {
      outHeight: i32(outHeight),
      outWidth: i32(outWidth),
      channels: i32(channels / components),
      first: i32(first),
      ...sizes,
    },
    threads: (rows * outHeight * outWidth * channels) / components,
    output,
    outputComponents: components,
  });
}

/**
 * Adds one level's part of the gradient with atomics: one thread for each column of bins of a region and channel. What falls on the same pixel is joined
 * before it is added, which saves atomics and digits: hundreds of roundings of one long sum would show.
 */
function scatter(
  backend: WebGpuBackend,
  dy: tf.TensorInfo,
  records: tf.TensorInfo,
  rows: tf.TensorInfo,
  shape: number[],
  level: number,
): tf.TensorInfo {
  const [, outHeight, outWidth, channels] = dy.shape;
  return runFlat(backend, {
    key: 'roiAlignGradAtomic',
    code: `${SAMPLE}${ATOMIC_ADD}
      // What the threads' functions share: the first pixel of the image, region's record, first value of dy, channel.
      var<private> base : i32;
      var<private> at : i32;
      var<private> first : i32;
      var<private> c : i32;
      fn addPixel(y : i32, x : i32, v : f32) {
        addAt((base + y * uniforms.width + x) * uniforms.channels + c, v);
      }
      fn addColumn(x : i32, weight : f32) {
        if (weight == 0.0) { return; }
        let samplesY = i32(regions[at + 4]);
        var y = -1;
        var low = 0.0;
        var high = 0.0;
        for (var p = 0; p < uniforms.outHeight; p++) {
          let g = dy[first + p * uniforms.outWidth * uniforms.channels];
          for (var i = 0; i < samplesY; i++) {
            let s = sampleAt(regions[at], regions[at + 2], p, i, samplesY, uniforms.height);
            if (s.low < 0) { continue; }
            if (s.low != y) {
              if (y >= 0) { addPixel(y, x, weight * low); }
              if (s.low == y + 1) { low = high; } else { if (y >= 0) { addPixel(y + 1, x, weight * high); } low = 0.0; }
              high = 0.0;
              y = s.low;
            }
            low += g * (1.0 - s.fraction);
            high += g * s.fraction;
          }
        }
        if (y >= 0) { addPixel(y, x, weight * low); if (high != 0.0) { addPixel(y + 1, x, weight * high); } }
      }
      fn run(index : i32) {
        c = index % uniforms.channels;
        let column = index / uniforms.channels;
        let q = column % uniforms.outWidth;
        let r = rows[column / uniforms.outWidth];
        at = r * 8;
        if (i32(regions[at + 7]) != uniforms.level) { return; }
        let samplesX = i32(regions[at + 5]);
        let share = 1.0 / max(regions[at + 4] * regions[at + 5], 1.0);
        base = i32(regions[at + 6]) * uniforms.height * uniforms.width;
        first = (r * uniforms.outHeight * uniforms.outWidth + q) * uniforms.channels + c;
        var x = -1;
        var low = 0.0;
        var high = 0.0;
        for (var j = 0; j < samplesX; j++) {
          let s = sampleAt(regions[at + 1], regions[at + 3], q, j, samplesX, uniforms.width);
          if (s.low < 0) { continue; }
          if (s.low != x) {
            if (x >= 0) { addColumn(x, share * low); }
            if (s.low == x + 1) { low = high; } else { addColumn(x + 1, share * high); low = 0.0; }
            high = 0.0;
            x = s.low;
          }
          low += 1.0 - s.fraction;
          high += s.fraction;
        }
        if (x >= 0) { addColumn(x, share * low); addColumn(x + 1, share * high); }
      }`,
    inputs: [
      { name: 'dy', tensor: dy },
      { name: 'regions', tensor: records },
      { name: 'rows', tensor: rows },
    ],
    uniforms: {
      outHeight: i32(outHeight),
      outWidth: i32(outWidth),
      channels: i32(channels),
      height: i32(shape[1]),
      width: i32(shape[2]),
      level: i32(level),
    },
    threads: rows.shape[0] * outWidth * channels,
    output: zeros(backend, shape),
    atomic: true,
  });
}

/**
 * One level's part of the gradient, gathered: one thread for each pixel adds up what the regions over it send, always in their order. With a fixed
 * sampling ratio every term on its own, in torchvision's order: its sums of hundreds of terms carry the roundings of that order.
 */
function gather(
  backend: WebGpuBackend,
  dy: tf.TensorInfo,
  records: tf.TensorInfo,
  rows: tf.TensorInfo,
  shape: number[],
  level: number,
  samplingRatio: number,
): tf.TensorInfo {
  const [, outHeight, outWidth, channels] = dy.shape;
  const components = channels % 4 === 0 ? 4 : 1;
  const type = components === 4 ? 'vec4<f32>' : 'f32';
  return runFlat(backend, {
    key: `roiAlignGradGather_${components}`,
    code: `${SAMPLE}
      fn weightOf(start : f32, bin : f32, b : i32, count : i32, size : i32, pixel : i32) -> f32 {
        var sum = 0.0;
        for (var i = 0; i < count; i++) {
          let s = sampleAt(start, bin, b, i, count, size);
          if (s.low == pixel) { sum += 1.0 - s.fraction; }
          if (s.high == pixel && s.low >= 0) { sum += s.fraction; }
        }
        return sum;
      }
      /* Bins that may touch a pixel: the border pixels also take what lies up to one pixel outside. */
      fn binsAt(start : f32, bin : f32, bins : i32, size : i32, pixel : i32) -> vec2<i32> {
        if (bin == 0.0) { return vec2<i32>(0, bins - 1); }
        let low = select(f32(pixel) - 1.0, -1.0, pixel == 0);
        let high = select(f32(pixel) + 1.0, f32(size), pixel == size - 1);
        let a = (low - start) / bin;
        let b = (high - start) / bin;
        // One more on each side for rounding; an inverted region runs backwards.
        return vec2<i32>(
          i32(clamp(floor(min(a, b)) - 1.0, 0.0, f32(bins))),
          i32(clamp(floor(max(a, b)) + 1.0, -1.0, f32(bins - 1))));
      }
      fn run(index : i32) {
        let C = uniforms.channels;
        let c = index % C;
        let pixel = index / C;
        let x = pixel % uniforms.width;
        let y = pixel / uniforms.width % uniforms.height;
        let image = f32(pixel / (uniforms.width * uniforms.height));
        var sum = ${type}(0.0);
        for (var k = 0; k < uniforms.rows; k++) {
          let r = rows[k];
          let at = r * 8;
          let samplesY = i32(regions[at + 4]);
          let samplesX = i32(regions[at + 5]);
          if (regions[at + 6] != image || i32(regions[at + 7]) != uniforms.level || samplesY * samplesX == 0) { continue; }
          let share = 1.0 / f32(samplesY * samplesX);
          let binsY = binsAt(regions[at], regions[at + 2], uniforms.outHeight, uniforms.height, y);
          // Region by region: one long sum loses digits.
          var part = ${type}(0.0);
          let binsX = binsAt(regions[at + 1], regions[at + 3], uniforms.outWidth, uniforms.width, x);
          for (var p = binsY.x; p <= binsY.y; p++) {
            let wy = weightOf(regions[at], regions[at + 2], p, samplesY, uniforms.height, y);
            if (wy == 0.0) { continue; }
            for (var q = binsX.x; q <= binsX.y; q++) {
              if (uniforms.inOrder == 1) {
                let g = dy[((r * uniforms.outHeight + p) * uniforms.outWidth + q) * C + c];
                for (var i = 0; i < samplesY; i++) {
                  let sy = sampleAt(regions[at], regions[at + 2], p, i, samplesY, uniforms.height);
                  if (sy.low < 0 || (sy.low != y && sy.high != y)) { continue; }
                  for (var j = 0; j < samplesX; j++) {
                    let sx = sampleAt(regions[at + 1], regions[at + 3], q, j, samplesX, uniforms.width);
                    if (sx.low < 0) { continue; }
                    if (sy.low == y && sx.low == x) { sum += g * ((1.0 - sy.fraction) * (1.0 - sx.fraction) * share); }
                    if (sy.low == y && sx.high == x) { sum += g * ((1.0 - sy.fraction) * sx.fraction * share); }
                    if (sy.high == y && sx.low == x) { sum += g * (sy.fraction * (1.0 - sx.fraction) * share); }
                    if (sy.high == y && sx.high == x) { sum += g * (sy.fraction * sx.fraction * share); }
                  }
                }
                continue;
              }
              let wx = weightOf(regions[at + 1], regions[at + 3], q, samplesX, uniforms.width, x);
              if (wx != 0.0) { part += wy * wx * dy[((r * uniforms.outHeight + p) * uniforms.outWidth + q) * C + c]; }
            }
          }
          sum += part * share;
        }
        result[index] = sum;
      }`,
    inputs: [
      { name: 'dy', tensor: dy, components },
      { name: 'regions', tensor: records },
      { name: 'rows', tensor: rows },
    ],
    uniforms: {
      outHeight: i32(outHeight),
      outWidth: i32(outWidth),
      channels: i32(channels / components),
      height: i32(shape[1]),
      width: i32(shape[2]),
      rows: i32(rows.shape[0]),
      level: i32(level),
      inOrder: i32(samplingRatio > 0 ? 1 : 0),
    },
    threads: size(shape) / components,
    output: shape,
    outputComponents: components,
  });
}

function pool(backend: WebGpuBackend, maps: tf.TensorInfo[], rois: tf.TensorInfo, call: RoiAlignCall): tf.TensorInfo {
  const shape = [rois.shape[0], ...call.outputSize, call.shapes[0][3]];
  if (size(shape) === 0) return backend.makeTensorInfo(shape, 'float32', new Float32Array(0));
  const { records } = placeRegions(backend, rois, call);
  let out: tf.TensorInfo | undefined;
  for (let first = 0; first < maps.length; first += MAPS_PER_PROGRAM) {
    out = forward(backend, maps.slice(first, first + MAPS_PER_PROGRAM), records, first, out ?? shape);
  }
  backend.disposeData(records.dataId);
  return out!;
}

function gradients(backend: WebGpuBackend, dy: tf.TensorInfo, rois: tf.TensorInfo, call: RoiAlignCall): tf.TensorInfo[] {
  const { shapes } = call;
  if (size(dy.shape) === 0) return shapes.map((shape) => zeros(backend, shape));
  const { records, levels } = placeRegions(backend, rois, call);
  const all = Int32Array.from({ length: rois.shape[0] }, (_, r) => r);
  const onLevel = isDeterministic() ? gather : scatter;
  const list = shapes.map((shape, level) => {
    // Where only the GPU knows the levels, each level's program looks at all regions.
    const members = levels ? all.filter((r) => levels[r] === level) : all;
    if (members.length === 0) return zeros(backend, shape);
    const rows = backend.makeTensorInfo([members.length], 'int32', members.slice());
    const gradient = onLevel(backend, dy, records, rows, shape, level, call.samplingRatio);
    backend.disposeData(rows.dataId);
    return gradient;
  });
  backend.disposeData(records.dataId);
  return list;
}

tf.registerKernel({
  kernelName: MULTILEVEL_ROI_ALIGN,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const call = attrs as unknown as RoiAlignCall;
    const maps = call.shapes.map((_, level) => inputs[`x${level}`] as tf.TensorInfo);
    return pool(backend as WebGpuBackend, maps, inputs.rois as tf.TensorInfo, call);
  },
});

tf.registerKernel({
  kernelName: MULTILEVEL_ROI_ALIGN_GRAD,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend }) =>
    gradients(
      backend as WebGpuBackend,
      inputs.dy as tf.TensorInfo,
      inputs.rois as tf.TensorInfo,
      attrs as unknown as RoiAlignCall,
    ),
});
