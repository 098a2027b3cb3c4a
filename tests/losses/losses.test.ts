import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { boxRegressionLoss, decodeDeltas } from '../../src/losses/box_regression.js';
import { binaryCrossEntropySum, crossEntropy } from '../../src/losses/cross_entropy.js';
import { classTargets, focalLossSum } from '../../src/losses/focal_loss.js';
import { gatherRows } from '../../src/losses/gather_rows.js';
import { ciouLoss, diouLoss, giouLoss } from '../../src/losses/iou_loss.js';
import { pixelCrossEntropy } from '../../src/losses/pixel_cross_entropy.js';
import { smoothL1 } from '../../src/losses/smooth_l1.js';
import { sumInBlocks } from '../../src/losses/sum_in_blocks.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';
import { devices, useDevice } from '../ops/devices.js';

/** Value and gradient of a scalar function, with nothing left behind. */
async function at(values: number[], shape: number[], f: (x: tf.Tensor) => tf.Tensor): Promise<{ value: number; grad: number[] }> {
  const before = tf.memory().numTensors;
  const x = tf.tensor(values, shape);
  const { value, grad } = tf.valueAndGrad((y: tf.Tensor) => tf.sum(f(y)))(x);
  const result = { value: (await value.data())[0], grad: [...(await grad.data())] };
  tf.dispose([x, value, grad]);
  expect(tf.memory().numTensors).toBe(before);
  return result;
}

describe.each(devices)('losses on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('smooth L1: square below beta, linear above, gradient 0 at 0', async () => {
    const zeros = tf.zeros([5]);
    const { value, grad } = await at([0, 0.25, -0.5, 2, -3], [5], (x) => smoothL1(x, zeros, 0.5));
    expect(value).toBeCloseTo(0.25 ** 2 + 0.25 + 1.75 + 2.75, 6);
    expect(grad).toEqual([0, 0.5, -1, 1, -1]);
    const l1 = await at([0, 0.25, -0.5, 2, -3], [5], (x) => smoothL1(x, zeros, 0));
    expect([l1.value, l1.grad]).toEqual([5.75, [0, 1, -1, 1, -1]]);
    zeros.dispose();
  });

  it('binary cross-entropy keeps its relative precision for sure predictions', async () => {
    const targets = tf.tensor1d([1, 0, 1, 0]);
    const { value, grad } = await at([20, -12, 0, 100], [4], (x) => binaryCrossEntropySum(x, targets));
    const sum = Math.log1p(Math.exp(-20)) + Math.log1p(Math.exp(-12)) + Math.LN2 + 100;
    expect(Math.abs(value / sum - 1)).toBeLessThan(1e-6);
    const sure = await at([-12], [1], (x) => binaryCrossEntropySum(x, tf.scalar(0)));
    expect(Math.abs(sure.value / Math.log1p(Math.exp(-12)) - 1)).toBeLessThan(1e-6);
    expect(grad[2]).toBeCloseTo(-0.5, 6);
    expect(grad[3]).toBeCloseTo(1, 6);
    targets.dispose();
  });

  it('cross-entropy: mean over rows, gradient is probability minus target over rows', async () => {
    const { value, grad } = await at([0, 0, Math.log(2), 0], [2, 2], (x) => crossEntropy(x as tf.Tensor2D, Int32Array.of(1, 0)));
    expect(value).toBeCloseTo((Math.log(2) + Math.log(1.5)) / 2, 6);
    [0.25, -0.25, -1 / 6, 1 / 6].forEach((wanted, i) => expect(grad[i]).toBeCloseTo(wanted, 6));
  });

  it("focal loss: the paper's numbers, rows that do not count left out, gradient as finite differences give it", async () => {
    const labels = Int32Array.of(1, 2, -1);
    const logits = [0.5, -1, -2, 3, 4, 4];
    const options = { alpha: 0.25, gamma: 2 };
    const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
    const f = (x: readonly number[]): number => {
      const term = (z: number, alpha: number): number => -alpha * (1 - sigmoid(z)) ** 2 * Math.log(sigmoid(z));
      return term(-x[0], 0.75) + term(x[1], 0.25) + term(-x[2], 0.75) + term(-x[3], 0.75);
    };
    const { value, grad } = await at(logits, [3, 2], (x) => focalLossSum(x, () => classTargets(labels, 2), options));
    expect(value).toBeCloseTo(f(logits), 5);
    logits.forEach((_, i) => {
      const moved = (by: number): number[] => logits.map((x, j) => (i === j ? x + by : x));
      expect(grad[i]).toBeCloseTo((f(moved(1e-5)) - f(moved(-1e-5))) / 2e-5, 5);
    });
  });

  it('cross-entropy of pixels: the mean over those that count, 0 where none does', async () => {
    const pixels = (labels: number[]) => (x: tf.Tensor) => pixelCrossEntropy(x as tf.Tensor2D, Uint8Array.from(labels), 255);
    const { value, grad } = await at([0, 0, Math.log(2), 0, 5, 6], [3, 2], pixels([1, 0, 255]));
    expect(value).toBeCloseTo((Math.log(2) + Math.log(1.5)) / 2, 6);
    [0.25, -0.25, -1 / 6, 1 / 6, 0, 0].forEach((wanted, i) => expect(grad[i]).toBeCloseTo(wanted, 6));
    const none = await at([1, 2], [1, 2], pixels([255]));
    expect([none.value + 0, ...none.grad]).toEqual([0, 0, 0]);
  });

  it.each([
    ['giou', giouLoss, 1 - (4 / 28 - 8 / 36)],
    ['diou', diouLoss, 1 - 4 / 28 + 8 / 72],
    ['ciou', ciouLoss, 1 - 4 / 28 + 8 / 72],
  ] as const)('%s of two squares, and half of the gradient where edges coincide', async (_, loss, wanted) => {
    const target = tf.tensor2d([2, 2, 6, 6], [1, 4]);
    expect((await at([0, 0, 4, 4], [1, 4], (x) => loss(x as tf.Tensor2D, target))).value).toBeCloseTo(wanted, 5);
    const equal = await at([2, 2, 6, 6], [1, 4], (x) => loss(x as tf.Tensor2D, target));
    expect(equal.value).toBeCloseTo(0, 5);
    expect(Math.abs(equal.grad[0] + equal.grad[2])).toBeLessThan(1e-6);
    target.dispose();
  });

  it('decodes deltas as the host does, and clamps the scale', async () => {
    const transform = new Box2BoxTransform([10, 10, 5, 5]);
    const boxes = Float32Array.of(0, 0, 10, 20, 5, 5, 9, 7);
    const deltas = Float32Array.of(1, -2, 0.5, 0.25, 0, 3, 40, -1);
    const decoded = tf.tidy(() => decodeDeltas(tf.tensor2d(deltas, [2, 4]), boxes, transform));
    const wanted = transform.applyDeltas(deltas, boxes);
    (await decoded.data()).forEach((value, i) => expect(Math.abs(value - wanted[i])).toBeLessThan(1e-4));
    decoded.dispose();
  });

  it('box regression compares deltas with those of the wanted box', async () => {
    const transform = new Box2BoxTransform([1, 1, 1, 1]);
    const sources = Float32Array.of(0, 0, 10, 10);
    const targets = Float32Array.of(5, 0, 15, 20);
    const { value } = await at([0, 0, 0, 0], [1, 4], (x) =>
      boxRegressionLoss(x as tf.Tensor2D, sources, targets, transform, { type: 'smooth_l1', smoothL1Beta: 0 }),
    );
    expect(value).toBeCloseTo(0.5 + 0.5 + 0 + Math.log(2), 6);
  });

  it('rows are gathered, and their gradients put back', async () => {
    const { value, grad } = await at([1, 2, 3, 4, 5, 6], [3, 2], (x) => gatherRows(x, Int32Array.of(2, 0)));
    expect([value, grad]).toEqual([14, [1, 1, 0, 0, 1, 1]]);
  });

  it('long sums keep their digits', async () => {
    const x = tf.fill([300, 333], 0.1);
    const sum = sumInBlocks(x);
    expect(Math.abs((await sum.data())[0] / 9990 - 1)).toBeLessThan(2e-6);
    tf.dispose([x, sum]);
  });
});
