import * as tf from '@tensorflow/tfjs-core';
import { assertFloat32, int, runFragments, type Uniform, type WebglBackend } from '../kernels/webgl_program.js';
import { type ColumnAttributes, DEFORM_COLUMNS, gradientOf, MODULATED_DEFORM_COLUMNS } from './columns.js';

type Inputs = Record<string, tf.TensorInfo>;

/** The output's places are looked through in squares of this side, for the gradient of x. */
const TILE = 8;

/** Where the samples of a tile lie: least y, largest y, least x, largest x. */
const BOUNDS = 4;

/** `locate(place, k, d)`: where a tap of a deformable group samples. Needs the uniforms of {@link uniformsOf} and the input `Offset`. */
const LOCATE = `
  struct Tap { int index; int base; int top; int left; float fy; float fx; bool inside; };
  Tap locate(int place, int k, int d) {
    int row = place / outWidth % outHeight;
    int column = place % outWidth;
    int index = (place * deformableGroups + d) * taps + k;
    float y = float(row * stride - padding + k / kernelWidth * dilation) + getOffset(2 * index);
    float x = float(column * stride - padding + k % kernelWidth * dilation) + getOffset(2 * index + 1);
    // Far away is as good as outside, and stays within integers.
    float top = floor(clamp(y, -4.0, float(height) + 4.0));
    float left = floor(clamp(x, -4.0, float(width) + 4.0));
    int base = place / (outWidth * outHeight) * height * width;
    bool inside = y > -1.0 && x > -1.0 && y < float(height) && x < float(width);
    return Tap(index, base, int(top), int(left), y - top, x - left, inside);
  }`;

/** `pixel(tap, row, column, c)`: a value of the input `X`, 0 outside. */
const PIXEL = `
  float pixel(Tap t, int row, int column, int c) {
    if (row < 0 || row >= height || column < 0 || column >= width) return 0.0;
    return getX((t.base + row * width + column) * channels + c);
  }`;

/** `columnOf(place, k, c)`: where a sample of a channel stands in the columns, [G, places, K, C / G]. */
const COLUMN_OF = `
  int columnOf(int place, int k, int c) {
    int perGroup = channels / groups;
    int group = c / perGroup;
    return ((group * places + place) * taps + k) * perGroup + c - group * perGroup;
  }`;

function uniformsOf(xShape: number[], o: ColumnAttributes): Record<string, Uniform> {
  return {
    height: int(xShape[1]),
    width: int(xShape[2]),
    channels: int(xShape[3]),
    outHeight: int(o.outShape[0]),
    outWidth: int(o.outShape[1]),
    places: int(xShape[0] * o.outShape[0] * o.outShape[1]),
    taps: int(o.kernelSize[0] * o.kernelSize[1]),
    kernelWidth: int(o.kernelSize[1]),
    stride: int(o.stride),
    padding: int(o.padding),
    dilation: int(o.dilation),
    groups: int(o.groups),
    deformableGroups: int(o.deformableGroups),
    tileRows: int(Math.ceil(o.outShape[0] / TILE)),
    tileColumns: int(Math.ceil(o.outShape[1] / TILE)),
  };
}

function columns(backend: WebglBackend, { x, offset, mask }: Inputs, o: ColumnAttributes): tf.TensorInfo {
  const [images, , , channels] = x.shape;
  return runFragments(backend, {
    code: `${LOCATE}${PIXEL}
  float run(int index) {
    int perGroup = channels / groups;
    int k = index / perGroup % taps;
    int place = index / (perGroup * taps) % places;
    int c = index / (perGroup * taps * places) * perGroup + index % perGroup;
    Tap t = locate(place, k, c / (channels / deformableGroups));
    if (!t.inside) return 0.0;
    float value = (1.0 - t.fy) * ((1.0 - t.fx) * pixel(t, t.top, t.left, c) + t.fx * pixel(t, t.top, t.left + 1, c))
                + t.fy * ((1.0 - t.fx) * pixel(t, t.top + 1, t.left, c) + t.fx * pixel(t, t.top + 1, t.left + 1, c));
    return value${mask ? ' * getMask(t.index)' : ''};
  }`,
    inputs: { X: x, Offset: offset, ...(mask ? { Mask: mask } : {}) },
    uniforms: uniformsOf(x.shape, o),
    output: [o.groups, images * o.outShape[0] * o.outShape[1], o.kernelSize[0] * o.kernelSize[1], channels / o.groups],
  });
}

/** The rectangle that the samples of each tile lie in, by deformable group: [N, rows, columns, D, 4] as {@link BOUNDS} says. */
function tileBounds(backend: WebglBackend, { x, offset }: Inputs, o: ColumnAttributes): tf.TensorInfo {
  const [rows, columns] = o.outShape.map((n) => Math.ceil(n / TILE));
  return runFragments(backend, {
    code: `${LOCATE}
  float run(int index) {
    int what = index % ${BOUNDS};
    int d = index / ${BOUNDS} % deformableGroups;
    int tile = index / (${BOUNDS} * deformableGroups);
    int image = tile / (tileRows * tileColumns);
    int firstRow = tile / tileColumns % tileRows * ${TILE};
    int firstColumn = tile % tileColumns * ${TILE};
    float least = 1e9;
    float most = -1e9;
    for (int row = firstRow; row < min(firstRow + ${TILE}, outHeight); row++) {
      for (int column = firstColumn; column < min(firstColumn + ${TILE}, outWidth); column++) {
        for (int k = 0; k < taps; k++) {
          Tap t = locate((image * outHeight + row) * outWidth + column, k, d);
          if (!t.inside) continue;
          float at = float(what < 2 ? t.top : t.left);
          least = min(least, at);
          most = max(most, at);
        }
      }
    }
    return what % 2 == 0 ? least : most;
  }`,
    inputs: { Offset: offset },
    uniforms: uniformsOf(x.shape, o),
    output: [x.shape[0], rows, columns, o.deformableGroups, BOUNDS],
  });
}

/**
 * The gradient of x. Fragments cannot scatter: each value of x looks through the taps of its image that may reach it, always in the same order, so that
 * equal calls give equal bits. Tiles of places whose samples all lie elsewhere are passed over.
 */
function inputGradient(backend: WebglBackend, inputs: Inputs, o: ColumnAttributes): tf.TensorInfo {
  const { dy, x, offset, mask } = inputs;
  const bounds = tileBounds(backend, inputs, o);
  const gradient = runFragments(backend, {
    code: `${LOCATE}${COLUMN_OF}
  float run(int index) {
    int c = index % channels;
    int d = c / (channels / deformableGroups);
    int column = index / channels % width;
    int row = index / (channels * width) % height;
    int image = index / (channels * width * height);
    float sum = 0.0;
    for (int tile = 0; tile < tileRows * tileColumns; tile++) {
      int at = ((image * tileRows * tileColumns + tile) * deformableGroups + d) * ${BOUNDS};
      if (float(row) < getBounds(at) || float(row) > getBounds(at + 1) + 1.0) continue;
      if (float(column) < getBounds(at + 2) || float(column) > getBounds(at + 3) + 1.0) continue;
      int firstRow = tile / tileColumns * ${TILE};
      int firstColumn = tile % tileColumns * ${TILE};
      for (int p = firstRow; p < min(firstRow + ${TILE}, outHeight); p++) {
        for (int q = firstColumn; q < min(firstColumn + ${TILE}, outWidth); q++) {
          int place = (image * outHeight + p) * outWidth + q;
          for (int k = 0; k < taps; k++) {
            Tap t = locate(place, k, d);
            int dRow = row - t.top;
            int dColumn = column - t.left;
            if (!t.inside || dRow < 0 || dRow > 1 || dColumn < 0 || dColumn > 1) continue;
            float weight = (dRow == 1 ? t.fy : 1.0 - t.fy) * (dColumn == 1 ? t.fx : 1.0 - t.fx)${mask ? ' * getMask(t.index)' : ''};
            sum += weight * getDy(columnOf(place, k, c));
          }
        }
      }
    }
    return sum;
  }`,
    inputs: { Dy: dy, Offset: offset, Bounds: bounds, ...(mask ? { Mask: mask } : {}) },
    uniforms: uniformsOf(x.shape, o),
    output: x.shape,
  });
  backend.disposeIntermediateTensorInfo(bounds);
  return gradient;
}

/** The gradient of the offsets or of the mask: each value adds over the channels of its tap. */
function tapGradient(backend: WebglBackend, inputs: Inputs, o: ColumnAttributes, what: 'offset' | 'mask'): tf.TensorInfo {
  const { dy, x, offset, mask } = inputs;
  const result =
    what === 'mask'
      ? 't.inside ? (1.0 - t.fy) * ((1.0 - t.fx) * a + t.fx * b) + t.fy * ((1.0 - t.fx) * e + t.fx * f) : 0.0'
      : `${mask ? 'getMask(t.index) * ' : ''}(index % 2 == 0
        ? (1.0 - t.fx) * (e - a) + t.fx * (f - b)
        : (1.0 - t.fy) * (b - a) + t.fy * (f - e))`;
  return runFragments(backend, {
    code: `${LOCATE}${PIXEL}${COLUMN_OF}
  float run(int index) {
    int tap = index${what === 'offset' ? ' / 2' : ''};
    int k = tap % taps;
    int d = tap / taps % deformableGroups;
    int place = tap / (taps * deformableGroups);
    Tap t = locate(place, k, d);
    int perDeformable = channels / deformableGroups;
    // The products of dy with the four corners.
    float a = 0.0;
    float b = 0.0;
    float e = 0.0;
    float f = 0.0;
    for (int c = d * perDeformable; c < (d + 1) * perDeformable; c++) {
      float g = getDy(columnOf(place, k, c));
      a += g * pixel(t, t.top, t.left, c);
      b += g * pixel(t, t.top, t.left + 1, c);
      e += g * pixel(t, t.top + 1, t.left, c);
      f += g * pixel(t, t.top + 1, t.left + 1, c);
    }
    return ${result};
  }`,
    inputs: { Dy: dy, X: x, Offset: offset, ...(mask && what === 'offset' ? { Mask: mask } : {}) },
    uniforms: uniformsOf(x.shape, o),
    output: what === 'mask' ? mask.shape : offset.shape,
  });
}

for (const kernelName of [DEFORM_COLUMNS, MODULATED_DEFORM_COLUMNS]) {
  tf.registerKernel({
    kernelName,
    backendName: 'webgl',
    kernelFunc: ({ inputs, attrs, backend }) => {
      assertFloat32('Deformable convolution');
      return columns(backend as WebglBackend, inputs as Inputs, attrs as unknown as ColumnAttributes);
    },
  });
  tf.registerKernel({
    kernelName: gradientOf(kernelName),
    backendName: 'webgl',
    kernelFunc: ({ inputs, attrs, backend }) => {
      assertFloat32('Deformable convolution');
      const [gpu, tensors, o] = [backend as WebglBackend, inputs as Inputs, attrs as unknown as ColumnAttributes];
      const gradients = [inputGradient(gpu, tensors, o), tapGradient(gpu, tensors, o, 'offset')];
      if (tensors.mask) gradients.push(tapGradient(gpu, tensors, o, 'mask'));
      return gradients;
    },
  });
}
