import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../../src/backbone/backbone.js';
import { regionGeometry, type RegionGeometry } from '../../src/ops/roi_align/geometry.js';
import { assignLevels } from '../../src/ops/roi_align/levels.js';
import { batchedRois, type RoiPoolerOptions } from '../../src/roi_heads/roi_pooler.js';

/**
 * RoI warping (Dai, He, Sun 2016, section 3.2): pooled regions stay as they are, and their gradient goes on to the corners of the boxes that they were
 * pooled from, as that of the bilinear samples: what lies beside a sample says how its value changes when the box moves or grows. Samples beyond the map,
 * or on its border, do not change. The number of samples must not depend on the box.
 * @param pooled   [R, s, s, C] what `RoiPooler` gives for the boxes, with `samplingRatio` > 0 and `aligned`; R > 0
 * @param corners  [R, 4] the boxes as (x0, y0, x1, y1) in input pixels: what gets the gradient
 * @param features maps by name, each [N, H, W, C]
 * @param boxes    per image [R_i, 4]: the same boxes on the host
 */
export function warpRegions(
  pooled: tf.Tensor4D,
  corners: tf.Tensor2D,
  features: FeatureMaps,
  boxes: readonly Float32Array[],
  options: RoiPoolerOptions,
): tf.Tensor4D {
  const maps = options.inFeatures.map((name) => features[name]);
  const shapes = maps.map(({ shape }) => shape);
  const pass = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    (inputs[2] as tf.GradSaveFunc)(maps);
    return {
      value: tf.clone(inputs[0] as tf.Tensor4D),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => [
        tf.clone(dy),
        tf.tidy(() => cornerGradient(dy as tf.Tensor4D, saved, samplesOf(boxes, shapes, options), options)),
      ],
    };
  });
  return pass(pooled, corners) as tf.Tensor4D;
}

/** Where the samples of all regions lie: P = s n along an axis. */
interface Samples {
  /** For each of the four pixels around a sample [R, P, P], y before x: its row in all maps one after another. */
  readonly neighbours: readonly Int32Array[];
  /** [R, P] how far a sample is from the first of its two pixels along an axis, 0 to 1. */
  readonly fractions: Readonly<Record<'y' | 'x', Float32Array>>;
  /** [R, P] 1 where the sample moves between two pixels, 0 where it is on the border or beyond it. */
  readonly moves: Readonly<Record<'y' | 'x', Float32Array>>;
  /** [R, P] 0 where the sample is so far out that its value is 0. */
  readonly counts: Readonly<Record<'y' | 'x', Float32Array>>;
  /** [R] pixels of its map in one input pixel. */
  readonly scales: Float32Array;
}

function samplesOf(
  boxes: readonly Float32Array[],
  shapes: readonly number[][],
  { scales, outputSize, samplingRatio }: RoiPoolerOptions,
): Samples {
  const rois = batchedRois(boxes);
  const levels = assignLevels(rois, -Math.log2(scales[0]), -Math.log2(scales[scales.length - 1]));
  const side = [outputSize, outputSize] as [number, number];
  const options = { outputSize: side, spatialScales: [...scales], samplingRatio, aligned: true };
  const regions = regionGeometry(rois, levels, [...shapes], options);
  const points = outputSize * samplingRatio;
  const along = (axis: 'y' | 'x') => axisSamples(regions, axis, shapes, points, samplingRatio);
  const [y, x] = [along('y'), along('x')];
  const starts = mapStarts(shapes);
  const neighbours = [0, 1, 2, 3].map(() => new Int32Array(regions.count * points * points));
  for (let r = 0, at = 0; r < regions.count; r++) {
    const [, height, width] = shapes[regions.level[r]];
    const first = starts[regions.level[r]] + regions.image[r] * height * width;
    for (let i = r * points; i < (r + 1) * points; i++) {
      for (let j = r * points; j < (r + 1) * points; j++, at++) {
        neighbours[0][at] = first + y.low[i] * width + x.low[j];
        neighbours[1][at] = first + y.low[i] * width + x.high[j];
        neighbours[2][at] = first + y.high[i] * width + x.low[j];
        neighbours[3][at] = first + y.high[i] * width + x.high[j];
      }
    }
  }
  return {
    neighbours,
    fractions: { y: y.fraction, x: x.fraction },
    moves: { y: y.moves, x: x.moves },
    counts: { y: y.counts, x: x.counts },
    scales: Float32Array.from(levels, (level) => scales[level]),
  };
}

/** The samples along one axis, under RoIAlign's rules for what lies outside. */
function axisSamples(regions: RegionGeometry, axis: 'y' | 'x', shapes: readonly number[][], points: number, ratio: number) {
  const size = regions.count * points;
  const [low, high] = [new Int32Array(size), new Int32Array(size)];
  const [fraction, moves, counts] = [new Float32Array(size), new Float32Array(size), new Float32Array(size)];
  const bins = axis === 'y' ? regions.binHeight : regions.binWidth;
  for (let r = 0, at = 0; r < regions.count; r++) {
    const extent = shapes[regions.level[r]][axis === 'y' ? 1 : 2];
    for (let p = 0; p < points; p++, at++) {
      const place = regions[axis][r] + ((p + 0.5) * bins[r]) / ratio;
      const inside = Math.min(Math.max(place, 0), extent - 1);
      low[at] = Math.min(Math.floor(inside), extent - 1);
      high[at] = Math.min(low[at] + 1, extent - 1);
      fraction[at] = inside - low[at];
      counts[at] = place >= -1 && place <= extent ? 1 : 0;
      moves[at] = place > 0 && place < extent - 1 ? 1 : 0;
    }
  }
  return { low, high, fraction, moves, counts };
}

/** The row at which each map begins where all are laid one after another as [N H W, C]. */
function mapStarts(shapes: readonly number[][]): number[] {
  let first = 0;
  return shapes.map(([n, height, width]) => {
    const start = first;
    first += n * height * width;
    return start;
  });
}

/** @param dy [R, s, s, C] @returns [R, 4] */
function cornerGradient(
  dy: tf.Tensor4D,
  maps: readonly tf.Tensor[],
  { neighbours, fractions, moves, counts, scales }: Samples,
  { outputSize, samplingRatio }: RoiPoolerOptions,
): tf.Tensor2D {
  const [rows, , , channels] = dy.shape;
  const points = outputSize * samplingRatio;
  const shape: [number, number, number] = [rows, points, points];
  const table = tf.concat(maps.map((map) => tf.reshape(map, [-1, channels])));
  // Every sample has its share of the mean over its bin.
  const bins = tf.image.resizeNearestNeighbor(dy, [points, points]);
  const shares = tf.reshape(tf.div(bins, samplingRatio ** 2), [-1, channels]);
  const [topLeft, topRight, bottomLeft, bottomRight] = neighbours.map((indices) => {
    const values = tf.gather(table, tf.tensor1d(indices, 'int32'));
    return tf.reshape(tf.sum(tf.mul(values, shares), 1), shape);
  });
  const down = (values: Float32Array): tf.Tensor => tf.tensor3d(values, [rows, points, 1]);
  const across = (values: Float32Array): tf.Tensor => tf.tensor3d(values, [rows, 1, points]);
  const between = (a: tf.Tensor, b: tf.Tensor, share: tf.Tensor): tf.Tensor => tf.add(a, tf.mul(tf.sub(b, a), share));
  const slopeX = between(tf.sub(topRight, topLeft), tf.sub(bottomRight, bottomLeft), down(fractions.y));
  const slopeY = between(tf.sub(bottomLeft, topLeft), tf.sub(bottomRight, topRight), across(fractions.x));
  const byX = tf.sum(tf.mul(tf.mul(slopeX, across(moves.x)), down(counts.y)), 1);
  const byY = tf.sum(tf.mul(tf.mul(slopeY, down(moves.y)), across(counts.x)), 2);
  // A sample lies at x0 (1 - t) + x1 t.
  const t = tf.tensor2d(
    Float32Array.from({ length: points }, (_, p) => (p + 0.5) / points),
    [1, points],
  );
  const begin = (slopes: tf.Tensor): tf.Tensor => tf.sum(tf.mul(slopes, tf.sub(1, t)), 1);
  const end = (slopes: tf.Tensor): tf.Tensor => tf.sum(tf.mul(slopes, t), 1);
  const corners = tf.stack([begin(byX), begin(byY), end(byX), end(byY)], 1);
  return tf.mul(corners, tf.tensor2d(scales, [rows, 1]));
}
