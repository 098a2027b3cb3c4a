import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import { readKept } from '../../../src/ops/nms/batched_nms.js';
import { batchedRotatedNmsOnDevice, rotatedIouOnDevice } from '../../../src/ops/rotated/boxes_on_device.js';
import { devices, useDevice } from '../devices.js';
import { goldenCases } from '../golden_cases.js';
import { maxDifference } from '../max_difference.js';
import { compareOverlaps, compareSuppression } from './problems.js';

const cases = goldenCases('rotated').filter(({ view }) => view.wants('iou') || view.wants('keep'));

describe.each(devices)('rotated boxes on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('overlap as on the host', async () => {
    const { shape, newTensors, overlapping, difference } = await compareOverlaps();
    expect([shape, newTensors]).toEqual([[90, 70], 1]);
    expect(overlapping).toBeGreaterThan(300);
    expect(difference).toBeLessThan(device === 'webgpu' ? 3e-6 : 1e-12);
  });

  it('are suppressed as on the host, in groups, with equal scores and rows that are not finite', async () => {
    for (const iouThreshold of [0.05, 0.31]) {
      const { kept, expected, count, newTensors, reads } = await compareSuppression(iouThreshold);
      expect(kept).toEqual(expected);
      expect(kept.length).toBeGreaterThan(60);
      expect(kept.length).toBeLessThan(0.9 * count);
      expect([newTensors, reads]).toEqual([0, 1]);
    }
  });

  it('go when they overlap by the threshold, and all but the best at a threshold of 0', async () => {
    const boxes = tf.tensor2d([[0, 0, 4, 4, 0], [0, 0, 4, 2, 0], [50, 50, 2, 2, 30], [50, 50, 2, 0, 0]]); // prettier-ignore
    const scores = tf.tensor1d([0.5, 0.9, 0.7, 0.1]);
    const keep = async (iouThreshold: number, most?: number): Promise<number[]> => {
      const kept = batchedRotatedNmsOnDevice(boxes, scores, undefined, { iouThreshold, ...(most ? { most } : {}) });
      const indices = [...(await readKept(kept))];
      kept.dispose();
      return indices;
    };
    expect(await keep(0.500001)).toEqual([1, 2, 0, 3]);
    expect(await keep(0.5)).toEqual([1, 2, 3]);
    expect(await keep(0.5, 2)).toEqual([1, 2]);
    expect(await keep(0)).toEqual([1]);
    tf.dispose([boxes, scores]);
    // 3/10 as float32.
    const inside = tf.tensor2d([[5, 0, 10, 1, 0], [1.5, 0, 3, 1, 0]]); // prettier-ignore
    const two = tf.tensor1d([1, 0.5]);
    for (const [threshold, count] of [
      [0.3, 1],
      [0.3 + 3e-8, 2],
    ]) {
      // prettier-ignore
      const kept = batchedRotatedNmsOnDevice(inside, two, undefined, { iouThreshold: threshold });
      expect((await readKept(kept)).length).toBe(count);
      kept.dispose();
    }
    tf.dispose([inside, two]);
  });

  it.skipIf(cases.length === 0).each(cases.map((c) => [c.name, c] as const))(
    'give the recorded numbers: %s',
    async (_, { view }) => {
      const { rotated } = await import('../../golden/ops/rotated.js');
      const outputs = await rotated.run(view);
      const name = view.wants('iou') ? 'iou' : 'keep';
      const [actual, expected] = [outputs[name], view.output(name)];
      if ('value' in actual || !('tensor' in expected)) throw new Error('tensors expected');
      expect(actual.data.length).toBe(expected.tensor.data.length);
      expect(maxDifference(actual.data, expected.tensor.data)).toBeLessThan(name === 'iou' ? view.golden.atol : 1e-9);
    },
  );

  it('may be none, and say what does not fit', async () => {
    const none = tf.tensor2d(new Float32Array(0), [0, 5]);
    const [two, scores] = [tf.zeros<tf.Rank.R2>([2, 5]), tf.zeros<tf.Rank.R1>([2])];
    const iou = rotatedIouOnDevice(none, two);
    expect(iou.shape).toEqual([0, 2]);
    const kept = batchedRotatedNmsOnDevice(none, tf.tensor1d([]), undefined, { iouThreshold: 0.5 });
    expect([...(await readKept(kept))]).toEqual([]);
    const four = tf.zeros<tf.Rank.R2>([2, 4]);
    expect(() => rotatedIouOnDevice(two, four)).toThrow('boxes are [2, 4]; expected [N, 5]');
    expect(() => batchedRotatedNmsOnDevice(four, scores, undefined, { iouThreshold: 0.5 })).toThrow(
      'boxes are [2, 4], scores [2]',
    );
    expect(() => batchedRotatedNmsOnDevice(two, scores, undefined, { iouThreshold: -1 })).toThrow(ArgumentError);
    tf.dispose([none, two, scores, iou, kept, four]);
  });
});
