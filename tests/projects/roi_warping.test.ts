import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { movedCorners } from '../../projects/mnc/mnc_heads.js';
import { warpRegions } from '../../projects/mnc/roi_warping.js';
import { Random } from '../../src/data/random.js';
import { RoiPooler } from '../../src/roi_heads/roi_pooler.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';
import { devices, useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';
import '../../src/backends/wasm.js';

// On p2 inside the map and over its edge in both images, and one on p3.
const BOXES = [Float32Array.of(3.3, 5.1, 29.7, 41.2, 40.3, -6.2, 70.9, 21.7), Float32Array.of(7.1, 2.9, 121.3, 119.1)];

describe.each(devices)('RoI warping on %s', (device) => {
  let features: Record<string, tf.Tensor4D>;
  beforeAll(async () => {
    await useDevice(device);
    const random = new Random(1);
    const map = (side: number) =>
      tf.tensor4d(
        Float32Array.from({ length: 2 * side * side * 3 }, () => random.normal()),
        [2, side, side, 3],
      );
    features = { p2: map(16), p3: map(16) };
  });

  it.each([1, 2])(
    'leaves pooled regions as they are; the gradient of the corners is that of finite differences, %i samples a bin',
    async (samplingRatio) => {
      // The first map lies at a fourth, the second at an eighth of the picture of 64 (padded to 128) pixels.
      const options = { inFeatures: ['p2', 'p3'], scales: [1 / 4, 1 / 8], outputSize: 4, samplingRatio, aligned: true };
      const pooler = new RoiPooler(options);
      const random = new Random(2);
      const weights = tf.tensor4d(Float32Array.from({ length: 3 * 48 }, () => random.normal()), [3, 4, 4, 3]); // prettier-ignore
      const value = async (boxes: readonly Float32Array[]): Promise<number> => {
        const sum = tf.tidy(() => tf.sum(tf.mul(pooler.forward(features, boxes), weights)));
        const [result] = await sum.data();
        sum.dispose();
        return result!;
      };
      const corners = tf.tensor2d(Float32Array.from(BOXES.flatMap((list) => [...list])), [3, 4]);
      const before = tf.memory().numTensors;
      const gradient = tf.grad((x) => {
        const pooled = pooler.forward(features, BOXES);
        return tf.sum(tf.mul(warpRegions(pooled, x as tf.Tensor2D, features, BOXES, options), weights));
      })(corners);
      const found = await gradient.data();
      gradient.dispose();
      expect(tf.memory().numTensors).toBe(before);
      const STEP = 1 / 128;
      for (let i = 0; i < 12; i++) {
        const moved = (by: number) => BOXES.map((list, image) => list.map((v, k) => v + (8 * image + k === i ? by : 0)));
        const difference = ((await value(moved(STEP))) - (await value(moved(-STEP)))) / (2 * STEP);
        expect(Math.abs(found[i]! - difference), `coordinate ${i}`).toBeLessThan(2e-3);
      }
      expect(found.filter((v) => Math.abs(v) > 0.05).length).toBeGreaterThan(6);
      tf.dispose([corners, weights]);
    },
  );

  it('corners follow what moved them: clipped to the picture, without those that were dropped', async () => {
    const regions = [
      { boxes: Float32Array.of(10, 10, 30, 50, 0, 0, 8, 8), classes: Int32Array.of(0, 0), targets: new Float32Array(8) },
      { boxes: Float32Array.of(20, 20, 60, 60), classes: Int32Array.of(1), targets: new Float32Array(4) },
    ];
    const deltas = tf.tensor2d([1, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0], [3, 4]);
    const origin = { deltas, regions, kept: [Int32Array.of(0), Int32Array.of(0)] };
    const transform = new Box2BoxTransform([10, 10, 5, 5]);
    const sizes = [{ height: 64, width: 64 }, { height: 64, width: 64 }]; // prettier-ignore
    const corners = movedCorners(origin, transform, sizes);
    expect([...(await corners.data())]).toEqual([12, 10, 32, 50, 20, 40, 60, 64]);
    const gradient = tf.grad((x) => tf.sum(movedCorners({ ...origin, deltas: x as tf.Tensor2D }, transform, sizes)))(deltas);
    const found = [...(await gradient.data())];
    // Widths 20 and 40 over the weight of x; both of an unclipped box's sides move. The lower side of the last is clipped.
    expect(found[0]).toBeCloseTo(4, 5);
    expect(found.slice(4, 8)).toEqual([0, 0, 0, 0]);
    expect(found[9]).toBeCloseTo(4, 5);
    tf.dispose([corners, gradient, deltas]);
  });
});
