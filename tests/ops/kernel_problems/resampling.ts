import * as tf from '@tensorflow/tfjs-core';
import { upsampleBilinear } from '../../../src/layers/upsample_bilinear.js';
import { upsampleNearest2x } from '../../../src/layers/upsample_nearest.js';
import { rotatedRoiAlign, type RotatedRoiAlignOptions } from '../../../src/ops/rotated/roi_align.js';
import { type Exact, type KernelProblem, noise } from './kernel_problem.js';

/** A map of another size, each of whose pixels is a mean of others: `terms` gives their rows and columns with their weights. */
function resized(
  x: Exact,
  [outHeight, outWidth]: [number, number],
  terms: (row: number, column: number) => [row: number, column: number, weight: number][],
): Exact {
  const [images, height, width, channels] = x.shape;
  const values = new Float64Array(images * outHeight * outWidth * channels);
  for (let at = 0; at < values.length; at++) {
    const pixel = Math.floor(at / channels);
    const image = Math.floor(pixel / outWidth / outHeight);
    for (const [row, column, weight] of terms(Math.floor(pixel / outWidth) % outHeight, pixel % outWidth))
      values[at] += weight * x.values[((image * height + row) * width + column) * channels + (at % channels)];
  }
  return { shape: [images, outHeight, outWidth, channels], values };
}

/** The two neighbours of a position along an axis, which continues its border, with their weights. */
function neighbours(position: number, size: number): [index: number, weight: number][] {
  const inside = Math.min(Math.max(position, 0), size - 1);
  const low = Math.floor(inside);
  return [
    [low, 1 - (inside - low)],
    [Math.min(low + 1, size - 1), inside - low],
  ];
}

const product = (rows: [number, number][], columns: [number, number][]): [number, number, number][] =>
  rows.flatMap(([row, a]) => columns.map(([column, b]): [number, number, number] => [row, column, a * b]));

function bilinear(shape: number[], factor: number): KernelProblem {
  const [, height, width] = shape;
  return {
    inputs: [noise(shape, 1)],
    run: (x) => upsampleBilinear(x as tf.Tensor4D, factor),
    definition: (x) =>
      resized(x, [factor * height, factor * width], (row, column) =>
        product(neighbours((row + 0.5) / factor - 0.5, height), neighbours((column + 0.5) / factor - 0.5, width)),
      ),
  };
}

/** Each inside of its map, across the border, turned by more than a circle, inverted, far outside, not finite. */
const TURNED = [
  [0, 22.3, 18.1, 36.7, 20.9, 33],
  [1, 3.2, 30.3, 18.4, 50.2, -110],
  [1, 23.1, 24.9, 7.3, 9.1, 400],
  [0, 30, 20, -8, 12, 10],
  [0, 400, 400, 8, 8, 5],
  [1, Infinity, 20, 8, 8, 5],
  [0, 20, 20, 8, 8, NaN],
];

/** RoIAlign of one turned region: the mean of bilinear samples on a grid in each bin. */
function rotatedDefinition(x: Exact, { outputSize, spatialScale, samplingRatio }: RotatedRoiAlignOptions): Exact {
  const [, height, width, channels] = x.shape;
  const [outHeight, outWidth] = outputSize;
  const values = new Float64Array(TURNED.length * outHeight * outWidth * channels);
  TURNED.forEach(([image, cx, cy, w, h, degrees], r) => {
    if (![cx, cy, w, h, degrees].every(Number.isFinite)) return;
    const [sine, cosine] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
    const [extentY, extentX] = [h * spatialScale, w * spatialScale];
    const samples = (extent: number, bins: number): number => samplingRatio || Math.max(0, Math.ceil(extent / bins));
    const [countY, countX] = [samples(extentY, outHeight), samples(extentX, outWidth)];
    for (let bin = 0; bin < outHeight * outWidth; bin++)
      for (let s = 0; s < countY * countX; s++) {
        const own = (b: number, i: number, count: number, extent: number, bins: number): number =>
          -extent / 2 + ((b + (i + 0.5) / count) * extent) / bins;
        const yy = own(Math.floor(bin / outWidth), Math.floor(s / countX), countY, extentY, outHeight);
        const xx = own(bin % outWidth, s % countX, countX, extentX, outWidth);
        const at = yy * cosine - xx * sine + cy * spatialScale - 0.5;
        const across = yy * sine + xx * cosine + cx * spatialScale - 0.5;
        if (at < -1 || at > height || across < -1 || across > width) continue;
        for (const [row, column, weight] of product(neighbours(at, height), neighbours(across, width)))
          for (let c = 0; c < channels; c++)
            values[(r * outHeight * outWidth + bin) * channels + c] +=
              (weight / (countY * countX)) * x.values[((image * height + row) * width + column) * channels + c];
      }
  });
  return { shape: [TURNED.length, outHeight, outWidth, channels], values };
}

/** @param onDevice the regions are computed, so that a GPU alone knows them */
function rotated(samplingRatio: number, onDevice: boolean): KernelProblem {
  const o: RotatedRoiAlignOptions = { outputSize: [3, 2], spatialScale: 0.25, samplingRatio };
  return {
    inputs: [noise([2, 12, 15, 5], 1)],
    run: (x) =>
      tf.tidy(() => {
        const rois = tf.tensor2d(TURNED);
        return rotatedRoiAlign(x as tf.Tensor4D, onDevice ? tf.mul(tf.mul<tf.Tensor2D>(rois, 2), 0.5) : rois, o);
      }),
    definition: (x) => rotatedDefinition(x, o),
  };
}

export const RESAMPLING: Record<string, KernelProblem> = {
  'bilinear upsampling, twice': bilinear([2, 3, 5, 3], 2),
  'bilinear upsampling, four times': bilinear([1, 2, 4, 2], 4),
  'nearest upsampling': {
    inputs: [noise([2, 3, 5, 3], 1)],
    run: (x) => upsampleNearest2x(x as tf.Tensor4D),
    definition: (x) => resized(x, [6, 10], (row, column) => [[Math.floor(row / 2), Math.floor(column / 2), 1]]),
  },
  // Negative throughout: a window's largest value need not be positive.
  'largest of windows': {
    inputs: [{ shape: [2, 7, 6, 3], values: noise([252], 1).values.map((v) => v - 1.5) }],
    run: (x) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'valid'),
    definition: (x) => {
      const at = (image: number, row: number, column: number, c: number): number =>
        x.values[((image * 7 + row) * 6 + column) * 3 + c];
      const values = Float64Array.from({ length: 2 * 3 * 2 * 3 }, (_, i) => {
        const [c, q, p, image] = [i % 3, Math.floor(i / 3) % 2, Math.floor(i / 6) % 3, Math.floor(i / 18)];
        return Math.max(...Array.from({ length: 9 }, (_, k) => at(image, 2 * p + Math.floor(k / 3), 2 * q + (k % 3), c)));
      });
      return { shape: [2, 3, 2, 3], values };
    },
  },
  'rotated RoIAlign, adaptive': rotated(0, false),
  'rotated RoIAlign, 2 samples': rotated(2, false),
  'rotated RoIAlign, regions of the device': rotated(0, true),
};
