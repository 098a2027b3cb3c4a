import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import { batchedNmsOnDevice, readKept } from '../../../src/ops/nms/batched_nms.js';
import { batchedNms, nms } from '../../../src/ops/nms/nms.js';
import { readBacks } from '../../../src/ops/read_back.js';
import { batchedNmsReference } from '../../../src/ops/nms/reference.js';
import { devices, useDevice } from '../devices.js';
import { goldenCases } from '../golden_cases.js';
import fc from '../../properties.js';
import { keptOf, PROBLEMS, refusalOfTooMany } from './problems.js';

const f = Math.fround;

const golden = goldenCases('batched_nms').filter(({ view }) => view.wants('keep'));

describe.skipIf(golden.length === 0)('the plain loops, and the host, against the recorded lists', () => {
  it.each(golden.map((c) => [c.name, c] as const))('%s', (name, { view, file }) => {
    const [boxes, scores] = [view.float32('boxes'), view.float32('scores')];
    const groups = view.owns('idxs') ? Int32Array.from(view.input('idxs').data) : new Int32Array(scores.length);
    const keep = [...file.get(`${name}.out.keep`).data];
    const threshold = view.required<number>('iou_threshold');
    expect(batchedNmsReference(boxes, scores, groups, threshold)).toEqual(keep);
    expect([...batchedNms(boxes, scores, groups, threshold)]).toEqual(keep);
    if (!view.owns('idxs')) expect([...nms(boxes, scores, threshold)]).toEqual(keep);
  });
});

/** Suppression on the running backend, read. */
async function keep(
  boxes: number[][],
  scores: number[],
  iouThreshold: number,
  { groups, most }: { groups?: number[]; most?: number } = {},
): Promise<number[]> {
  const inputs = [tf.tensor2d(boxes.flat(), [boxes.length, 4]), tf.tensor1d(scores)] as const;
  const ids = groups && tf.tensor1d(groups, 'int32');
  const kept = batchedNmsOnDevice(...inputs, ids, { iouThreshold, ...(most === undefined ? {} : { most }) });
  expect(kept.shape).toEqual([1 + Math.min(most ?? scores.length, scores.length)]);
  const indices = [...(await readKept(kept))];
  tf.dispose([...inputs, kept]);
  ids?.dispose();
  return indices;
}

describe.each(devices)('batchedNmsOnDevice on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each(Object.keys(PROBLEMS))('keeps what the plain loops keep: %s', async (name) => {
    const reads = readBacks.count;
    const { kept, expected, count, newTensors } = await keptOf(name);
    expect(kept).toEqual(expected);
    expect([newTensors, readBacks.count - reads]).toEqual([1, 1]);
    // A good part of the boxes on either side.
    expect(expected.length).toBeGreaterThan(0.2 * count);
    expect(expected.length).toBeLessThan(0.85 * count);
  });

  it.skipIf(golden.length === 0)('gives the recorded lists', async () => {
    const { batchedNmsAdapter } = await import('../../golden/ops/batched_nms.js');
    for (const { name, view, file } of golden) {
      const { keep } = await batchedNmsAdapter.run(view);
      expect([name, ...(keep as unknown as { data: Int32Array }).data]).toEqual([name, ...file.get(`${name}.out.keep`).data]);
    }
  });

  it('keeps the first of equal scores, what overlaps by the threshold, boxes without area, and none of none', async () => {
    const pair = [[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 2]]; // prettier-ignore
    expect(await keep(pair, [0.5, 0.5, 0.4], 0.5)).toEqual([0, 2]);
    expect(await keep(pair, [0.5, 0.5, 0.4], 0.49)).toEqual([0]);
    // The IoU 3/10 as float32 lies above 0.3.
    expect(await keep([[0, 0, 10, 1], [0, 0, 3, 1]], [1, 0.5], 0.3)).toEqual([0]); // prettier-ignore
    expect(await keep([[0, 0, 10, 1], [0, 0, 3, 1]], [1, 0.5], f(0.3))).toEqual([0, 1]); // prettier-ignore
    expect(await keep([[1, 1, 1, 1], [1, 1, 1, 1]], [0.1, 0.2], 0)).toEqual([1, 0]); // prettier-ignore
    expect(await keep([], [], 0.5)).toEqual([]);
    // Inverted boxes overlap nothing, though their area may count.
    expect(await keep([[5, 5, 0, 0], [0, 0, 5, 5], [0, 0, 5, 5]], [3, 2, 1], 0)).toEqual([0, 1]); // prettier-ignore
  });

  it('takes both zeros for one score, tells groups apart, and gives out no more than the best', async () => {
    const boxes = [[0, 0, 9, 9], [20, 0, 29, 9], [0, 0, 9, 9], [40, 0, 49, 9]]; // prettier-ignore
    expect(await keep(boxes, [-0, 0, -1, 5], 0.5)).toEqual([3, 0, 1]);
    expect(await keep(boxes, [-0, 0, -1, 5], 0.5, { groups: [0, 0, 1, 0] })).toEqual([3, 0, 1, 2]);
    expect(await keep(boxes, [-0, 0, -1, 5], 0.5, { most: 2 })).toEqual([3, 0]);
    expect(await keep(boxes, [-0, 0, -1, 5], 0.5, { most: 0 })).toEqual([]);
  });

  it('leaves out rows that are not finite, and does not count them', async () => {
    const box = [0, 0, 9, 9];
    const broken = [NaN, 0, 9, 9];
    expect(await keep([box, broken, box, box, box], [NaN, 9, 1, -Infinity, 2], 0.5)).toEqual([4]);
    expect(await keep([broken, box], [1, -Infinity], 0.5)).toEqual([]);
    // 1000 boxes and some padding: moved apart still, so that the group's number times the pitch is lost in float32 and two groups are one.
    const padding = Array.from({ length: 40 }, () => -Infinity);
    const boxes = Array.from({ length: 1040 }, (_, i) => [3e6 + 40 * i, 0, 3e6 + 40 * i + 20, 20]);
    const scores = [...Array.from({ length: 1000 }, (_, i) => 1000 - i), ...padding];
    const groups = boxes.map((_, i) => (i < 1000 ? 7 * (i % 2) : 0));
    const [rows, values] = [boxes.slice(0, 1000), scores.slice(0, 1000)];
    const expected = batchedNmsReference(
      Float32Array.from(rows.flat()),
      Float32Array.from(values),
      Int32Array.from(groups.slice(0, 1000)),
      0.1,
    );
    expect(await keep(boxes, scores, 0.1, { groups })).toEqual(expected);
  });

  it('says what does not fit', () => {
    const [boxes, scores] = [tf.zeros<tf.Rank.R2>([2, 4]), tf.zeros<tf.Rank.R1>([2])];
    const o = { iouThreshold: 0.5 };
    const three = tf.zeros<tf.Rank.R1>([3]);
    expect(() => batchedNmsOnDevice(boxes, three, undefined, o)).toThrow('boxes are [2, 4], scores [3]');
    expect(() => batchedNmsOnDevice(boxes, scores, scores, o)).toThrow('groups are [2] of float32; expected [2] of int32');
    expect(() => batchedNmsOnDevice(boxes, scores, undefined, { iouThreshold: NaN })).toThrow(ArgumentError);
    expect(() => batchedNmsOnDevice(boxes, scores, undefined, { ...o, most: -1 })).toThrow('most is -1');
    tf.dispose([boxes, scores, three]);
  });

  it.runIf(device === 'webgpu')('says where the GPU has no room, before anything is computed', () => {
    const { message, newTensors } = refusalOfTooMany();
    expect(message).toMatch(
      /^Suppression on webgpu among 200000 boxes needs a matrix of 4769 MiB.*this device has \d+ MiB.*take wasm\.$/,
    );
    expect(newTensors).toBe(0);
  });
});

describe('nms on the host', () => {
  it('keeps the first of equal scores and suppresses strictly above the threshold', () => {
    // Two equal boxes; the third overlaps the first by exactly one half: 4x4 and 4x2 inside it.
    const boxes = Float32Array.of(0, 0, 4, 4, 0, 0, 4, 4, 0, 0, 4, 2);
    expect([...nms(boxes, Float32Array.of(0.5, 0.5, 0.4), 0.5)]).toEqual([0, 2]);
    expect([...nms(boxes, Float32Array.of(0.5, 0.5, 0.4), 0.49)]).toEqual([0]);
  });

  it('compares the float32 IoU with the threshold as a double', () => {
    // IoU 3/10: float32(0.3) lies above 0.3, so the box goes.
    const boxes = Float32Array.of(0, 0, 10, 1, 0, 0, 3, 1);
    expect([...nms(boxes, Float32Array.of(1, 0.5), 0.3)]).toEqual([0]);
    expect([...nms(boxes, Float32Array.of(1, 0.5), f(0.3))]).toEqual([0, 1]);
  });

  it('keeps boxes without area, and none of none', () => {
    expect([...nms(Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1), Float32Array.of(0.1, 0.2), 0.5)]).toEqual([1, 0]);
    expect([...nms(new Float32Array(0), new Float32Array(0), 0.5)]).toEqual([]);
    expect([...batchedNms(new Float32Array(0), new Float32Array(0), new Int32Array(0), 0.5)]).toEqual([]);
  });

  it('equals the plain loops on clustered boxes with tied scores', () => {
    const coordinate = fc.integer({ min: -8, max: 24 });
    const box = fc.tuple(
      coordinate,
      coordinate,
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 6 }),
    );
    fc.assert(
      fc.property(fc.array(box, { maxLength: 60 }), fc.constantFrom(0, 0.1, 0.3, 0.5, 0.7, 1), (list, threshold) => {
        const boxes = Float32Array.from(list.flatMap(([x, y, w, h]) => [x / 3, y / 3, (x + w) / 3, (y + h) / 3]));
        const scores = Float32Array.from(list, (entry) => entry[4] / 6);
        expect([...nms(boxes, scores, threshold)]).toEqual(
          batchedNmsReference(boxes, scores, new Int32Array(scores.length), threshold),
        );
      }),
    );
  });

  it('separates groups below and above the number where the method changes', () => {
    for (const n of [1000, 1002]) {
      const boxes = Float32Array.from({ length: 4 * n }, (_, k) => [0, 0, 10, 10][k % 4]);
      const scores = Float32Array.from({ length: n }, (_, k) => 1 - k / n);
      const groups = Int32Array.from({ length: n }, (_, k) => k % 3);
      expect([...batchedNms(boxes, scores, groups, 0.5)]).toEqual([0, 1, 2]);
    }
  });

  it('names what does not fit', () => {
    expect(() => nms(new Float32Array(4), new Float32Array(2), 0.5)).toThrow(ArgumentError);
    expect(() => nms(new Float32Array(4), new Float32Array(1), NaN)).toThrow('IoU threshold is NaN');
    expect(() => batchedNms(new Float32Array(4), new Float32Array(1), new Int32Array(2), 0.5)).toThrow('2 groups for 1 boxes');
  });
});
