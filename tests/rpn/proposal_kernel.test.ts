import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { readBacks } from '../../src/ops/read_back.js';
import { AnchorGenerator } from '../../src/rpn/anchor_generator.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';
import { hasProposalKernel, selectProposals, splitProposals } from '../../src/rpn/proposal_kernel.js';
import { readProposals } from '../../src/rpn/rpn.js';
import { devices, useDevice } from '../ops/devices.js';
import { CHOICES, compareChoice } from './proposal_problems.js';

const attributes = {
  anchors: new AnchorGenerator({ sizes: [[8], [16]], aspectRatios: [[1]], strides: [8, 16], offset: 0.5 }),
  transform: new Box2BoxTransform([1, 1, 1, 1]),
  selection: { nmsThreshold: 0.7, preNmsTopK: 3, postNmsTopK: 3, minBoxSize: 0 },
};
/** Two levels of two images: 2x2 cells of 8 pixels, and one cell of 16. */
const logits = (values: number[][]) => [
  tf.tensor4d(values.flatMap((v) => v.slice(0, 4)), [values.length, 2, 2, 1]),
  tf.tensor4d(values.map((v) => v[4]), [values.length, 1, 1, 1]),
]; // prettier-ignore
const noDeltas = (images: number) => [tf.zeros([images, 2, 2, 4]), tf.zeros([images, 1, 1, 4])] as tf.Tensor4D[];

describe.each(devices)('the choice of proposals on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('takes the best of all levels, image after image, and waits for nothing', async () => {
    expect(hasProposalKernel()).toBe(true);
    const before = tf.memory().numTensors;
    const [maps, deltas] = [logits([[1, 4, 2, 3, 5], [0, 0, NaN, -1, -2]]), noDeltas(2)]; // prettier-ignore
    const reads = readBacks.count;
    const rows = selectProposals(maps, deltas, { ...attributes, imageSizes: [[16, 16], [16, 12]] }); // prettier-ignore
    expect(readBacks.count).toBe(reads);
    // The cells of the fine level from left to right and down; the coarse anchor is the whole picture. NaN is dropped, as Detectron2 does;
    // the second picture is 12 wide, so that its anchors are cut there.
    expect(await rows.array()).toEqual([
      [0, 0, 0, 16, 16, 5],
      [0, 8, 0, 16, 8, 4],
      [0, 8, 8, 16, 16, 3],
      [1, 0, 0, 8, 8, 0],
      [1, 8, 0, 12, 8, 0],
      [1, 0, 0, 12, 16, -2],
    ]);
    const [first, second] = await readProposals(rows, 2);
    expect([...first.objectnessLogits]).toEqual([5, 4, 3]);
    expect([...second.boxes.subarray(4, 8)]).toEqual([8, 0, 12, 8]);
    tf.dispose([maps, deltas, rows]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('answers no proposals with no rows', async () => {
    const [maps, deltas] = [logits([[NaN, NaN, NaN, NaN, NaN]]), noDeltas(1)];
    const rows = selectProposals(maps, deltas, { ...attributes, imageSizes: [[16, 16]] });
    // A GPU does not know how many there are, and fills up.
    expect(rows.shape).toEqual([device === 'webgpu' ? 3 : 0, 6]);
    const [none] = await readProposals(rows, 1);
    expect(none.objectnessLogits.length).toBe(0);
    tf.dispose([maps, deltas, rows]);
  });
});

describe.each(devices)('the choice among many on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each(CHOICES)('makes the choice that the plain loops make: %s', async (_, cells, ...rest) => {
    const before = tf.memory().numTensors;
    for (const { chosen, expected, boxes } of await compareChoice(cells, ...rest)) {
      expect(expected.length).toBe(rest[1]);
      expect(chosen).toEqual(expected);
      expect(boxes).toBeLessThan(1e-4);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('splitProposals', () => {
  it('leaves out the rows that a kernel of fixed size filled up', () => {
    const fill = [0, 0, 0, 0, -Infinity];
    const values = Float32Array.from([[0, 1, 2, 3, 4, 9], [0, ...fill], [1, ...fill], [1, ...fill], [2, 5, 6, 7, 8, 1], [2, 1, 1, 2, 2, 0]].flat()); // prettier-ignore
    const split = splitProposals(values, 3);
    expect(split.map(({ first }) => first)).toEqual([0, 2, 4]);
    expect(split.map(({ boxes }) => [...boxes])).toEqual([[1, 2, 3, 4], [], [5, 6, 7, 8, 1, 1, 2, 2]]);
  });
});
