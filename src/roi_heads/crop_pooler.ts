import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import { roundHalfEven } from '../data/transforms/rounding.js';
import { ArgumentError } from '../errors.js';
import { RoiPooler } from './roi_pooler.js';

const f = Math.fround;

/**
 * Matterport's pooling of normalised boxes: TensorFlow's `crop_and_resize`, one bilinear sample a bin, from the pyramid level nearest to
 * 4 + log2(side of the box / 224 pixels). The grid of samples reaches from corner to corner of the box.
 */
export class CropPooler extends RoiPooler {
  static override fromConfig(
    { POOLER_RESOLUTION }: { readonly POOLER_RESOLUTION: number },
    inFeatures: readonly string[],
    features: FeatureShapes,
  ): CropPooler {
    const scales = inFeatures.map((name) => 1 / features[name].stride);
    return new CropPooler({ inFeatures, scales, outputSize: POOLER_RESOLUTION, samplingRatio: 1, aligned: false });
  }

  /**
   * @param features maps by name, each [N, H, W, C]
   * @param boxes    per image [R_i, 4], from 0, the middle of the padded input's first pixel, to 1, that of its last
   * @returns        [R, outputSize, outputSize, C], image after image, rows in the order of the boxes
   */
  override forward(features: FeatureMaps, boxes: readonly Float32Array[] | tf.Tensor2D): tf.Tensor4D {
    if (boxes instanceof tf.Tensor) throw new ArgumentError('CropPooler takes its boxes from the host; these are on the device.');
    const { inFeatures, scales, outputSize } = this.options;
    const maps = inFeatures.map((name) => features[name]);
    const [, height, width] = maps[0].shape;
    const [finest, coarsest] = [scales[0], scales[scales.length - 1]].map((scale) => -Math.log2(scale));
    const side = f(Math.sqrt((height * width) / scales[0] ** 2));
    const rows = boxes.flatMap((list, image) =>
      Array.from({ length: list.length / 4 }, (_, i): Row => {
        const box = list.subarray(i * 4, i * 4 + 4);
        return { box, image, level: Math.min(Math.max(levelOf(box, side), finest), coarsest) };
      }),
    );
    return tf.tidy(() => {
      const order: number[] = [];
      const pooled: tf.Tensor4D[] = [];
      for (const [i, map] of maps.entries()) {
        const own = rows.flatMap(({ level }, row) => (level === finest + i ? [row] : []));
        if (own.length === 0) continue;
        order.push(...own);
        pooled.push(crop(map, own.map((row) => rows[row]), outputSize)); // prettier-ignore
      }
      if (pooled.length === 0) return tf.zeros([0, outputSize, outputSize, maps[0].shape[3]]);
      const places = new Int32Array(order.length);
      order.forEach((row, place) => (places[row] = place));
      return tf.gather(tf.concat(pooled), tf.tensor1d(places, 'int32'));
    });
  }
}

interface Row {
  /** (x0, y0, x1, y1), normalised. */
  readonly box: Float32Array;
  readonly image: number;
  readonly level: number;
}

/** The level that a normalised box calls for in an input of `side` pixels, in float32 as TensorFlow computes it; boxes without area go below all. */
export function levelOf(box: Float32Array, side: number): number {
  const area = f(f(box[3] - box[1]) * f(box[2] - box[0]));
  const size = f(f(Math.sqrt(area)) / f(224 / side));
  return 4 + roundHalfEven(f(f(Math.log(size)) / f(Math.log(2))));
}

/**
 * `crop_and_resize` of one map. A box that ends at the border may by rounding have its last samples behind the last pixel, where TensorFlow gives zero. The maps get
 * one more row and column, so that no backend decides that by a rounding of its own; the zeros are set by TensorFlow's float32 steps.
 */
function crop(map: tf.Tensor4D, rows: readonly Row[], size: number): tf.Tensor4D {
  const [, height, width] = map.shape;
  const last = { x: width - 1, y: height - 1 };
  const corners = new Float32Array(rows.length * 4);
  const inside = new Float32Array(rows.length * size * size).fill(1);
  let isWhole = true;
  rows.forEach(({ box: [x0, y0, x1, y1] }, i) => {
    corners.set([(y0 * last.y) / height, (x0 * last.x) / width, (y1 * last.y) / height, (x1 * last.x) / width], i * 4);
    const [xs, ys] = [samples(x0, x1, last.x, size), samples(y0, y1, last.y, size)];
    if (xs[size - 1] <= last.x && ys[size - 1] <= last.y) return;
    isWhole = false;
    ys.forEach((y, row) =>
      xs.forEach((x, column) => {
        if (y > last.y || x > last.x) inside[(i * size + row) * size + column] = 0;
      }),
    );
  });
  const right = tf.concat([map, tf.slice(map, [0, 0, last.x, 0], [-1, -1, 1, -1])], 2);
  const padded = tf.concat([right, tf.slice(right, [0, last.y, 0, 0], [-1, 1, -1, -1])], 1);
  const images = Int32Array.from(rows, ({ image }) => image);
  const pooled = tf.image.cropAndResize(padded, tf.tensor2d(corners, [rows.length, 4]), tf.tensor1d(images, 'int32'), [
    size,
    size,
  ]);
  return isWhole ? pooled : tf.mul(pooled, tf.tensor4d(inside, [rows.length, size, size, 1]));
}

/** Where TensorFlow samples along one axis, in pixels of the map. */
function samples(near: number, far: number, last: number, size: number): Float32Array {
  const step = f(f(f(far - near) * last) / (size - 1));
  return Float32Array.from({ length: size }, (_, i) => f(near * last) + f(i * step));
}
