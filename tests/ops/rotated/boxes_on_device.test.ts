import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/data/random.js';
import { ArgumentError } from '../../../src/errors.js';
import { readKept } from '../../../src/ops/nms/batched_nms.js';
import { readBacks } from '../../../src/ops/read_back.js';
import { batchedRotatedNmsOnDevice, rotatedIouOnDevice } from '../../../src/ops/rotated/boxes_on_device.js';
import { rotatedIou } from '../../../src/ops/rotated/iou.js';
import { batchedRotatedNms } from '../../../src/ops/rotated/nms.js';
import { devices, useDevice } from '../devices.js';
import { goldenCases } from '../golden_cases.js';
import { maxDifference } from '../max_difference.js';

/** Boxes around few places, turned by anything, some of them without area, some upright and alike. */
function turned(count: number, seed: number): Float32Array {
  const random = new Random(seed);
  const places = Array.from({ length: Math.ceil(count / 8) }, () => [random.uniform(0, 300), random.uniform(0, 200)]);
  const rows = Array.from({ length: count }, (_, i) => {
    const [x, y] = places[random.integer(places.length)];
    if (i % 19 === 0) return [x, y, 0, 12, 40];
    if (i % 7 === 0) return [Math.round(x), Math.round(y), 16, 8, 90 * random.integer(4)];
    const at = [x + random.uniform(-5, 5), y + random.uniform(-5, 5)];
    return [...at, random.uniform(4, 60), random.uniform(4, 60), random.uniform(-400, 400)];
  });
  return Float32Array.from(rows.flat());
}

const cases = goldenCases('rotated').filter(({ view }) => view.wants('iou') || view.wants('keep'));

describe.each(devices)('rotated boxes on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('overlap as on the host', async () => {
    const all = turned(160, 1);
    const [a, b] = [all.slice(0, 5 * 90), all.slice(5 * 90)];
    const inputs = [tf.tensor2d(a, [90, 5]), tf.tensor2d(b, [70, 5])] as const;
    const before = tf.memory().numTensors;
    const iou = rotatedIouOnDevice(...inputs);
    expect(iou.shape).toEqual([90, 70]);
    const values = await iou.data();
    expect(tf.memory().numTensors).toBe(before + 1);
    const expected = rotatedIou(a, b);
    expect(expected.filter((v) => v > 0.05).length).toBeGreaterThan(300);
    expect(maxDifference(values, expected)).toBeLessThan(device === 'webgpu' ? 3e-6 : 1e-12);
    tf.dispose([...inputs, iou]);
  });

  it('are suppressed as on the host, in groups, with equal scores and rows that are not finite', async () => {
    const count = 420;
    const random = new Random(3);
    const boxes = turned(count, 4);
    const scores = Float32Array.from({ length: count }, () => random.integer(60) / 60);
    const groups = Int32Array.from({ length: count }, () => random.integer(3));
    const padded = [Float32Array.of(...boxes, NaN, 0, 1, 1, 0, 5, 5, 4, 4, 0), Float32Array.of(...scores, 2, -Infinity)] as const;
    const inputs = [
      tf.tensor2d(padded[0], [count + 2, 5]),
      tf.tensor1d(padded[1]),
      tf.tensor1d(Int32Array.of(...groups, 0, 1), 'int32'),
    ] as const;
    const [before, reads] = [tf.memory().numTensors, readBacks.count];
    for (const iouThreshold of [0.05, 0.31]) {
      const out = batchedRotatedNmsOnDevice(...inputs, { iouThreshold });
      expect(out.shape).toEqual([count + 3]);
      const kept = [...(await readKept(out))];
      out.dispose();
      expect(kept).toEqual([...batchedRotatedNms(boxes, scores, groups, iouThreshold)]);
      expect(kept.length).toBeGreaterThan(60);
      expect(kept.length).toBeLessThan(0.9 * count);
    }
    expect([tf.memory().numTensors - before, readBacks.count - reads]).toEqual([0, 2]);
    tf.dispose([...inputs]);
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
