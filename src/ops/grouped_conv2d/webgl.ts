import * as tf from '@tensorflow/tfjs-core';
import { assertFloat32, int, runFragments, type WebglBackend } from '../kernels/webgl_program.js';
import {
  GROUPED_CONV2D,
  GROUPED_CONV2D_FILTER_GRAD,
  GROUPED_CONV2D_INPUT_GRAD,
  type GroupedConvAttributes,
} from './kernel_names.js';
import { groupedConvSizes, size, STRETCHES } from './sizes.js';

/** A fragment for each value of the output. */
function forward(backend: WebglBackend, x: tf.TensorInfo, filter: tf.TensorInfo, o: GroupedConvAttributes): tf.TensorInfo {
  return runFragments(backend, {
    code: `
  float run(int index) {
    int outs = outPerGroup * groups;
    int place = index / outs;
    int k = index - place * outs;
    int line = place / outWidth;
    int column = (place - line * outWidth) * stride - left;
    int image = line / outHeight;
    int row = (line - image * outHeight) * stride - top;
    int group = k / outPerGroup;
    int channels = perGroup * groups;
    float sum = 0.0;
    for (int i = max(0, -row); i < min(kernelHeight, height - row); i++) {
      for (int j = max(0, -column); j < min(kernelWidth, width - column); j++) {
        int start = ((image * height + row + i) * width + column + j) * channels + group * perGroup;
        int tap = (i * kernelWidth + j) * perGroup * outs + k;
        for (int c = 0; c < perGroup; c++) sum += getX(start + c) * getKernel(tap + c * outs);
      }
    }
    return sum;
  }`,
    inputs: { X: x, Kernel: filter },
    uniforms: groupedConvSizes(x.shape, filter.shape, o, int),
    output: [x.shape[0], ...o.outShape, filter.shape[3]],
  });
}

/** A fragment for each value of x. */
function inputGradient(
  backend: WebglBackend,
  dy: tf.TensorInfo,
  x: number[],
  filter: tf.TensorInfo,
  o: GroupedConvAttributes,
): tf.TensorInfo {
  return runFragments(backend, {
    code: `
  float run(int index) {
    int channels = perGroup * groups;
    int outs = outPerGroup * groups;
    int place = index / channels;
    int channel = index - place * channels;
    int group = channel / perGroup;
    int c = channel - group * perGroup;
    int line = place / width;
    int column = place - line * width + left;
    int image = line / height;
    int row = line - image * height + top;
    float sum = 0.0;
    for (int i = 0; i < kernelHeight; i++) {
      int y = (row - i) / stride;
      if (row < i || y * stride != row - i || y >= outHeight) continue;
      for (int j = 0; j < kernelWidth; j++) {
        int u = (column - j) / stride;
        if (column < j || u * stride != column - j || u >= outWidth) continue;
        int start = ((image * outHeight + y) * outWidth + u) * outs + group * outPerGroup;
        int at = ((i * kernelWidth + j) * perGroup + c) * outs + group * outPerGroup;
        for (int k = 0; k < outPerGroup; k++) sum += getDy(start + k) * getKernel(at + k);
      }
    }
    return sum;
  }`,
    inputs: { Dy: dy, Kernel: filter },
    uniforms: groupedConvSizes(x, filter.shape, o, int),
    output: x,
  });
}

/** First a fragment for each stretch of places and value of the filter, then the stretches in order: the same bits from run to run. */
function filterGradient(
  backend: WebglBackend,
  dy: tf.TensorInfo,
  x: tf.TensorInfo,
  filter: number[],
  o: GroupedConvAttributes,
): tf.TensorInfo {
  const places = x.shape[0] * size(o.outShape);
  const stretches = Math.min(STRETCHES, places);
  const values = size(filter);
  const parts = runFragments(backend, {
    code: `
  float run(int index) {
    int outs = outPerGroup * groups;
    int stretch = index / values;
    int at = index - stretch * values;
    int k = at % outs;
    int c = at / outs % perGroup;
    int tap = at / (outs * perGroup);
    int i = tap / kernelWidth;
    int j = tap - i * kernelWidth;
    int channels = perGroup * groups;
    int from = k / outPerGroup * perGroup + c;
    float sum = 0.0;
    for (int place = stretch * stretchLength; place < min((stretch + 1) * stretchLength, places); place++) {
      int line = place / outWidth;
      int u = (place - line * outWidth) * stride - left + j;
      int image = line / outHeight;
      int y = (line - image * outHeight) * stride - top + i;
      if (y < 0 || y >= height || u < 0 || u >= width) continue;
      sum += getX(((image * height + y) * width + u) * channels + from) * getDy(place * outs + k);
    }
    return sum;
  }`,
    inputs: { X: x, Dy: dy },
    uniforms: {
      ...groupedConvSizes(x.shape, filter, o, int),
      values: int(values),
      places: int(places),
      stretchLength: int(Math.ceil(places / stretches)),
    },
    output: [stretches, ...filter],
  });
  const gradient = runFragments(backend, {
    code: `
  float run(int index) {
    float sum = 0.0;
    for (int s = 0; s < stretches; s++) sum += getParts(s * values + index);
    return sum;
  }`,
    inputs: { Parts: parts },
    uniforms: { stretches: int(stretches), values: int(values) },
    output: filter,
  });
  backend.disposeIntermediateTensorInfo(parts);
  return gradient;
}

/** Registers one of the kernels. */
function register(
  kernelName: string,
  kernel: (
    backend: WebglBackend,
    inputs: Record<'dy' | 'x' | 'filter', tf.TensorInfo>,
    o: GroupedConvAttributes,
  ) => tf.TensorInfo,
): void {
  tf.registerKernel({
    kernelName,
    backendName: 'webgl',
    kernelFunc: ({ inputs, attrs, backend }) => {
      assertFloat32('Grouped convolution');
      return kernel(
        backend as WebglBackend,
        inputs as Record<'dy' | 'x' | 'filter', tf.TensorInfo>,
        attrs as unknown as GroupedConvAttributes,
      );
    },
  });
}

register(GROUPED_CONV2D, (backend, { x, filter }, o) => forward(backend, x, filter, o));
register(GROUPED_CONV2D_INPUT_GRAD, (backend, { dy, x, filter }, o) => inputGradient(backend, dy, x.shape, filter, o));
register(GROUPED_CONV2D_FILTER_GRAD, (backend, { dy, x, filter }, o) => filterGradient(backend, dy, x, filter.shape, o));
