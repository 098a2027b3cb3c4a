import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { groupNorm } from '../../src/layers/group_norm_op.js';
import { devices, useDevice } from '../ops/devices.js';

const [shape, groups, epsilon] = [[2, 3, 5, 4] as const, 2, 1e-5];
const random = new Random(5);
const noise = (n: number): Float64Array => Float64Array.from({ length: n }, () => random.normal());
const [x, weight, bias, dy] = [noise(120), noise(4), noise(4), noise(120)];

/** The sum of dy times the normalised map, in float64. */
function objective(values: Float64Array, scale: Float64Array, shift: Float64Array): number {
  let sum = 0;
  for (let n = 0; n < 2; n++) {
    for (let g = 0; g < groups; g++) {
      const rows = Array.from({ length: 30 }, (_, i) => n * 60 + (i >> 1) * 4 + g * 2 + (i & 1));
      const mean = rows.reduce((total, at) => total + values[at], 0) / 30;
      const variance = rows.reduce((total, at) => total + (values[at] - mean) ** 2, 0) / 30;
      for (const at of rows)
        sum += dy[at] * (((values[at] - mean) / Math.sqrt(variance + epsilon)) * scale[at % 4] + shift[at % 4]);
    }
  }
  return sum;
}

/** Central differences in float64. */
function differences(array: Float64Array): number[] {
  return Array.from(array, (value, i) => {
    array[i] = value + 1e-5;
    const above = objective(x, weight, bias);
    array[i] = value - 1e-5;
    const below = objective(x, weight, bias);
    array[i] = value;
    return (above - below) / 2e-5;
  });
}

describe.each(devices)('group norm on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('has the value and the gradients of its definition', async () => {
    const before = tf.memory().numTensors;
    const inputs = [tf.tensor(Float32Array.from(x), [...shape]), ...[weight, bias].map((v) => tf.tensor1d(Float32Array.from(v)))];
    const upstream = tf.tensor(Float32Array.from(dy), [...shape]);
    const f = (...[a, w, b]: tf.Tensor[]): tf.Tensor =>
      tf.sum(tf.mul(groupNorm(a as tf.Tensor4D, w as tf.Tensor1D, b as tf.Tensor1D, groups, epsilon), upstream));
    const { value, grads } = tf.valueAndGrads(f)(inputs);
    expect((await value.data())[0]).toBeCloseTo(objective(x, weight, bias), 4);
    for (const [i, array] of [x, weight, bias].entries()) {
      const wanted = differences(array);
      (await grads[i].data()).forEach((got, k) => expect(Math.abs(got - wanted[k])).toBeLessThan(2e-5));
    }
    tf.dispose([...inputs, upstream, value, ...grads]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
