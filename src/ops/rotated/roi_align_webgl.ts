import * as tf from '@tensorflow/tfjs-core';
import {
  assertFloat32,
  CEIL_OF_QUOTIENT,
  float,
  hostValues,
  int,
  runFragments,
  SINE_AND_COSINE,
  type Uniform,
  type WebglBackend,
} from '../kernels/webgl_program.js';
import { ROTATED_ROI_ALIGN, ROTATED_ROI_ALIGN_GRAD, type RotatedRoiAlignAttributes } from './kernel_names.js';
import { rotatedRecords, WORDS } from './samples.js';

type Inputs = Record<string, tf.TensorInfo>;

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * The regions' records, {@link WORDS} floats each as `rotatedRecords` writes them: on the host, with the rounding of the C++, where their coordinates are
 * there; else on the GPU, whose division may differ in the last bit.
 */
function place(backend: WebglBackend, rois: tf.TensorInfo, o: RotatedRoiAlignAttributes): tf.TensorInfo {
  const values = hostValues(backend, rois) as Float32Array | undefined;
  const output = [rois.shape[0] * WORDS];
  if (values) return backend.makeTensorInfo(output, 'float32', rotatedRecords(values, o));
  return runFragments(backend, {
    code: `${SINE_AND_COSINE}${CEIL_OF_QUOTIENT}
  float run(int index) {
    int field = index % ${WORDS};
    int at = index / ${WORDS} * 6;
    vec2 place = vec2(getRois(at + 1), getRois(at + 2));
    vec2 extent = vec2(getRois(at + 3), getRois(at + 4)) * scale;
    float degrees = getRois(at + 5);
    if (field == 0) return getRois(at);
    if (field == 1) return place.y * scale - 0.5;
    if (field == 2) return place.x * scale - 0.5;
    if (field == 3) return extent.y;
    if (field == 4) return extent.x;
    // Written so that NaN and infinity count as no samples.
    bool known = abs(degrees) < 1e30 && all(lessThan(abs(place), vec2(1e30))) && all(lessThan(abs(extent), vec2(1e30)));
    if (!known) return 0.0;
    if (field == 5) return sineAndCosine(degrees).x;
    if (field == 6) return sineAndCosine(degrees).y;
    if (samplingRatio > 0) return float(samplingRatio);
    return field == 7 ? ceilOfQuotient(extent.y, float(outHeight)) : ceilOfQuotient(extent.x, float(outWidth));
  }`,
    inputs: { Rois: rois },
    uniforms: uniformsOf(o, rois.shape[0]),
    output,
  });
}

/** `open(r)`: a region; `sampleAt(region, p, q, i, j)`: its sample as pixels (rows, then columns) and fractions, the first row negative where outside. */
const SAMPLES = `
  struct Region { int image; vec2 centre; vec2 extent; float sine; float cosine; ivec2 samples; };
  struct Sample { ivec2 low; ivec2 high; vec2 fraction; };
  Region open(int r) {
    int at = r * ${WORDS};
    return Region(int(getRecords(at)), vec2(getRecords(at + 1), getRecords(at + 2)), vec2(getRecords(at + 3), getRecords(at + 4)),
      getRecords(at + 5), getRecords(at + 6), ivec2(int(getRecords(at + 7)), int(getRecords(at + 8))));
  }
  Sample sampleAt(Region region, int p, int q, int i, int j) {
    vec2 bin = region.extent / vec2(float(outHeight), float(outWidth));
    vec2 own = -region.extent / 2.0 + vec2(float(p), float(q)) * bin
             + (vec2(float(i), float(j)) + 0.5) * bin / vec2(region.samples);
    vec2 at = vec2(own.x * region.cosine - own.y * region.sine, own.x * region.sine + own.y * region.cosine) + region.centre;
    vec2 last = vec2(float(height), float(width));
    if (!(all(greaterThanEqual(at, vec2(-1.0))) && all(lessThanEqual(at, last)))) return Sample(ivec2(-1), ivec2(-1), vec2(0.0));
    vec2 inside = clamp(at, vec2(0.0), last - 1.0);
    ivec2 low = ivec2(inside);
    return Sample(low, min(low + 1, ivec2(height, width) - 1), inside - vec2(low));
  }`;

function uniformsOf(
  { outputSize, spatialScale, samplingRatio, shape }: RotatedRoiAlignAttributes,
  regions: number,
): Record<string, Uniform> {
  return {
    height: int(shape[1]),
    width: int(shape[2]),
    channels: int(shape[3]),
    outHeight: int(outputSize[0]),
    outWidth: int(outputSize[1]),
    samplingRatio: int(samplingRatio),
    regions: int(regions),
    scale: float(spatialScale),
  };
}

function forward(backend: WebglBackend, { x, rois }: Inputs, o: RotatedRoiAlignAttributes): tf.TensorInfo {
  const output = [rois.shape[0], ...o.outputSize, o.shape[3]];
  if (size(output) === 0) return backend.makeTensorInfo(output, 'float32', new Float32Array(0));
  const records = place(backend, rois, o);
  const pooled = runFragments(backend, {
    code: `${SAMPLES}
  float pixel(int image, int row, int column, int c) {
    return getX(((image * height + row) * width + column) * channels + c);
  }
  float run(int index) {
    int c = index % channels;
    int bin = index / channels;
    int q = bin % outWidth;
    int p = bin / outWidth % outHeight;
    Region region = open(bin / (outWidth * outHeight));
    float sum = 0.0;
    for (int i = 0; i < region.samples.x; i++) {
      for (int j = 0; j < region.samples.y; j++) {
        Sample s = sampleAt(region, p, q, i, j);
        if (s.low.x < 0) continue;
        vec2 f = s.fraction;
        sum += (1.0 - f.x) * ((1.0 - f.y) * pixel(region.image, s.low.x, s.low.y, c) + f.y * pixel(region.image, s.low.x, s.high.y, c))
             + f.x * ((1.0 - f.y) * pixel(region.image, s.high.x, s.low.y, c) + f.y * pixel(region.image, s.high.x, s.high.y, c));
      }
    }
    return sum / float(max(region.samples.x * region.samples.y, 1));
  }`,
    inputs: { X: x, Records: records },
    uniforms: uniformsOf(o, rois.shape[0]),
    output,
  });
  backend.disposeIntermediateTensorInfo(records);
  return pooled;
}

/** Fragments cannot scatter: each value of x looks through all samples of the regions that reach its pixel, in their order. */
function gradient(backend: WebglBackend, { dy, rois }: Inputs, o: RotatedRoiAlignAttributes): tf.TensorInfo {
  if (size(dy.shape) === 0) return backend.makeTensorInfo(o.shape, 'float32', new Float32Array(size(o.shape)));
  const records = place(backend, rois, o);
  const dx = runFragments(backend, {
    code: `${SAMPLES}
  float run(int index) {
    int c = index % channels;
    int column = index / channels % width;
    int row = index / (channels * width) % height;
    int image = index / (channels * width * height);
    float sum = 0.0;
    for (int r = 0; r < regions; r++) {
      Region region = open(r);
      // Two more than half the diagonal: bilinear weights, and samples just outside that count for the border.
      float away = distance(vec2(float(row), float(column)), region.centre) - length(region.extent) / 2.0;
      if (region.image != image || away > 3.0) continue;
      float part = 0.0;
      for (int bin = 0; bin < outHeight * outWidth; bin++) {
        int p = bin / outWidth;
        int q = bin % outWidth;
        float weight = 0.0;
        for (int i = 0; i < region.samples.x; i++) {
          for (int j = 0; j < region.samples.y; j++) {
            Sample s = sampleAt(region, p, q, i, j);
            if (s.low.x < 0) continue;
            float wy = (s.low.x == row ? 1.0 - s.fraction.x : 0.0) + (s.high.x == row ? s.fraction.x : 0.0);
            float wx = (s.low.y == column ? 1.0 - s.fraction.y : 0.0) + (s.high.y == column ? s.fraction.y : 0.0);
            weight += wy * wx;
          }
        }
        if (weight != 0.0) part += weight * getDy((r * outHeight * outWidth + bin) * channels + c);
      }
      sum += part / float(max(region.samples.x * region.samples.y, 1));
    }
    return sum;
  }`,
    inputs: { Dy: dy, Records: records },
    uniforms: uniformsOf(o, rois.shape[0]),
    output: o.shape,
  });
  backend.disposeIntermediateTensorInfo(records);
  return dx;
}

for (const [kernelName, run] of [
  [ROTATED_ROI_ALIGN, forward],
  [ROTATED_ROI_ALIGN_GRAD, gradient],
] as const) {
  tf.registerKernel({
    kernelName,
    backendName: 'webgl',
    kernelFunc: ({ inputs, attrs, backend }) => {
      assertFloat32('RoIAlign of rotated regions');
      return run(backend as WebglBackend, inputs as Inputs, attrs as unknown as RotatedRoiAlignAttributes);
    },
  });
}
