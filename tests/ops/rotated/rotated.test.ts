import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import { rotatedIou } from '../../../src/ops/rotated/iou.js';
import { batchedRotatedNms, rotatedNms } from '../../../src/ops/rotated/nms.js';
import { rotatedRoiAlign, type RotatedRoiAlignOptions } from '../../../src/ops/rotated/roi_align.js';
import { roiAlign } from '../../../src/ops/roi_align/roi_align.js';
import { computed } from '../computed.js';
import { devices, useDevice } from '../devices.js';
import { goldenCases } from '../golden_cases.js';
import { maxDifference } from '../max_difference.js';

describe('rotatedIou', () => {
  it('gives the areas that one can work out by hand', () => {
    const unit = [0, 0, 2, 2, 0];
    const others = [
      [0, 0, 2, 2, 90], // itself
      [1, 0, 2, 2, 0], // half: 2 / 6
      [0, 0, 2, 2, 45], // an octagon of 8 (sqrt 2 - 1)
      [0, 0, 1, 1, 30], // inside: 1 / 4
      [3, 0, 2, 2, 0], // apart
      [2, 0, 2, 2, 0], // touching
      [0, 0, 0, 2, 10], // without area
      [100.5, 0, 201, 2, 0], // 1.0 x 2 shared
    ];
    const octagon = 8 * (Math.SQRT2 - 1);
    const expected = [1, 1 / 3, octagon / (8 - octagon), 1 / 4, 0, 0, 0, 2 / (4 + 402 - 2)];
    const actual = rotatedIou(Float32Array.from(unit), Float32Array.from(others.flat()));
    expect(maxDifference(actual, expected)).toBeLessThan(1e-6);
    expect(maxDifference(rotatedIou(Float32Array.from(others.flat()), Float32Array.from(unit)), expected)).toBeLessThan(1e-6);
  });

  it('turns counterclockwise as one sees the picture', () => {
    // A long box turned by 45 degrees reaches up at its right end, and y points down.
    const long = Float32Array.of(0, 0, 20, 1, 45);
    expect(rotatedIou(long, Float32Array.of(5, -5, 1, 1, 0))[0]).toBeGreaterThan(0.02);
    expect(rotatedIou(long, Float32Array.of(5, 5, 1, 1, 0))[0]).toBe(0);
  });
});

describe('rotatedNms', () => {
  const boxes = Float32Array.of(0, 0, 4, 4, 0, 0, 0, 4, 2, 0, 9, 9, 2, 2, 30);
  const scores = Float32Array.of(0.5, 0.9, 0.7);

  it('drops what overlaps by the threshold or more, best first', () => {
    expect([...rotatedNms(boxes, scores, 0.6)]).toEqual([1, 2, 0]);
    expect([...rotatedNms(boxes, scores, 0.5)]).toEqual([1, 2]);
    expect([...rotatedNms(new Float32Array(0), new Float32Array(0), 0.5)]).toEqual([]);
  });

  it('leaves other groups alone', () => {
    expect([...batchedRotatedNms(boxes, scores, Int32Array.of(0, 1, 0), 0.1)]).toEqual([1, 2, 0]);
    expect([...batchedRotatedNms(boxes, scores, Int32Array.of(1, 1, 0), 0.1)]).toEqual([1, 2]);
  });

  it('names what does not fit', () => {
    expect(() => rotatedNms(new Float32Array(4), new Float32Array(1), 0.5)).toThrow('4 box numbers for 1 scores');
    expect(() => rotatedNms(new Float32Array(5), new Float32Array(1), NaN)).toThrow(ArgumentError);
    expect(() => batchedRotatedNms(boxes, scores, new Int32Array(2), 0.5)).toThrow('2 groups for 3 boxes');
  });
});

const cases = goldenCases('rotated').filter(({ view }) => view.wants('output'));

describe.each(devices)('rotatedRoiAlign on %s', (device) => {
  beforeAll(() => useDevice(device));

  const values = Float32Array.from({ length: 2 * 12 * 15 * 5 }, (_, k) => ((k * 7919) % 211) / 100 - 1);
  const shape: [number, number, number, number] = [2, 12, 15, 5];
  const upright = [
    [0, 4, 6, 40, 30],
    [1, -9, 3, 12, 60],
    [1, 20, 20, 27, 29],
  ];
  const o: RotatedRoiAlignOptions = { outputSize: [3, 2], spatialScale: 0.25, samplingRatio: 0 };

  it('is plain RoIAlign where nothing is turned, and turns by half a circle to the reverse', async () => {
    const x = tf.tensor4d(values, shape);
    const turned = (degrees: number): tf.Tensor2D =>
      tf.tensor2d(upright.map(([n, x0, y0, x1, y1]) => [n, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, degrees]));
    const [straight, half, rois] = [turned(0), turned(180), tf.tensor2d(upright)];
    const expected = roiAlign(x, rois, { ...o, aligned: true });
    const [a, b] = [rotatedRoiAlign(x, straight, o), rotatedRoiAlign(x, half, o)];
    const reversed = tf.reverse(b, [1, 2]);
    expect(maxDifference(await a.data(), await expected.data())).toBeLessThan(2e-6);
    expect(maxDifference(await reversed.data(), await expected.data())).toBeLessThan(2e-5);
    tf.dispose([x, straight, half, rois, expected, a, b, reversed]);
  });

  it.each([0, 2, 3])('has the gradient that differences of the forward pass give: sampling ratio %i', async (samplingRatio) => {
    const rois = tf.tensor2d([
      [0, 22, 18, 36, 20, 33],
      [1, 3, 30, 18, 50, -110],
      [1, 23, 24, 7, 9, 200],
      [0, 58, 2, 30, 12, 90],
    ]);
    const before = tf.memory().numTensors;
    const run = (x: tf.Tensor): tf.Tensor => rotatedRoiAlign(x as tf.Tensor4D, rois, { ...o, samplingRatio });
    const pooled = async (place: number, step: number): Promise<Float32Array> => {
      const moved = values.slice();
      moved[place] += step;
      const out = tf.tidy(() => run(tf.tensor4d(moved, shape)));
      const found = (await out.data()) as Float32Array;
      out.dispose();
      return found;
    };
    const dy = Float32Array.from({ length: 4 * 3 * 2 * 5 }, (_, k) => ((k * 31) % 17) / 8 - 1);
    const [x, upstream] = [tf.tensor4d(values, shape), tf.tensor(dy.slice(), [4, 3, 2, 5])];
    const dx = tf.grad(run)(x, upstream);
    const gradient = await dx.data();
    tf.dispose([x, upstream, dx]);
    let largest = 0;
    for (const place of [0, 66, 101, 187, 340, 402, 518, 899, 1003, 1211, 1502, values.length - 1]) {
      const [up, down] = [await pooled(place, 1), await pooled(place, -1)];
      const difference = dy.reduce((sum, g, i) => sum + (g * (up[i] - down[i])) / 2, 0);
      expect(Math.abs(difference - gradient[place])).toBeLessThan(5e-6);
      largest = Math.max(largest, Math.abs(difference));
    }
    expect(largest).toBeGreaterThan(0.05);
    expect(tf.memory().numTensors).toBe(before);
    rois.dispose();
  });

  it.skipIf(cases.length === 0).each(cases.map((c) => [c.name, c] as const))(
    'gives the recorded numbers: %s',
    async (_, { view }) => {
      const { rotated } = await import('../../golden/ops/rotated.js');
      for (const deterministic of [false, true]) {
        tf.env().set('MASKRCNN_DETERMINISTIC', deterministic);
        const outputs = await rotated.run(view);
        for (const name of ['output', 'grad_input']) {
          const [actual, expected] = [outputs[name], view.output(name)];
          if ('value' in actual || !('tensor' in expected)) throw new Error('tensors expected');
          expect(maxDifference(actual.data, expected.tensor.data)).toBeLessThan(view.golden.atol);
        }
      }
      tf.env().set('MASKRCNN_DETERMINISTIC', false);
    },
  );

  it('takes no regions, and says what does not fit', async () => {
    const x = tf.tensor4d(values, shape);
    const none = tf.tensor2d(new Float32Array(0), [0, 6]);
    const out = rotatedRoiAlign(x, none, o);
    expect(out.shape).toEqual([0, 3, 2, 5]);
    const dx = tf.grad((v: tf.Tensor) => rotatedRoiAlign(v as tf.Tensor4D, none, o))(
      x,
      tf.tensor(new Float32Array(0), [0, 3, 2, 5]),
    );
    expect(maxDifference(await dx.data(), new Float32Array(x.size))).toBe(0);
    const five = tf.zeros<tf.Rank.R2>([1, 5]);
    expect(() => rotatedRoiAlign(x, five, o)).toThrow('rois are float32 [1, 5]; expected float32 [R, 6]');
    expect(() => rotatedRoiAlign(x, none, { ...o, samplingRatio: 1.5 })).toThrow(ArgumentError);
    const wholes = tf.zeros<tf.Rank.R4>([1, 4, 4, 1], 'int32');
    expect(() => rotatedRoiAlign(wholes, none, o)).toThrow('the map is int32 [1, 4, 4, 1]; expected float32');
    const rows = tf.tensor2d([[0, 8, 8, 8, 8, 0], [2, 8, 8, 8, 8, 0]]); // prettier-ignore
    expect(() => rotatedRoiAlign(x, rows, o)).toThrow('Region 1 is of image 2; the batch has 2 images');
    expect(() => rotatedRoiAlign(x, tf.cast(rows, 'int32'), o)).toThrow('rois are int32 [2, 6]; expected float32');
    tf.dispose([x, none, out, dx, five, wholes, rows]);
  });

  it.runIf(device === 'webgpu')('gives zeros for a region of an image that only the GPU knows not to exist', async () => {
    const x = tf.ones<tf.Rank.R4>([2, 4, 4, 1]);
    const rows = [[1, 8, 8, 8, 8, 0], [2, 8, 8, 8, 8, 0], [-1, 8, 8, 8, 8, 0]]; // prettier-ignore
    const rois = computed(rows);
    const single: RotatedRoiAlignOptions = { ...o, outputSize: [1, 1] };
    const out = rotatedRoiAlign(x, rois, single);
    expect([...(await out.data())]).toEqual([1, 0, 0]);
    for (const deterministic of [false, true]) {
      tf.env().set('MASKRCNN_DETERMINISTIC', deterministic);
      const dx = tf.grad((map: tf.Tensor) => rotatedRoiAlign(map as tf.Tensor4D, rois, single))(x);
      expect([...(await tf.sum(dx, [1, 2, 3]).data())].map((v) => Math.round(v * 1e5) / 1e5)).toEqual([0, 1]);
      dx.dispose();
    }
    tf.env().set('MASKRCNN_DETERMINISTIC', false);
    tf.dispose([x, rois, out]);
  });
});
