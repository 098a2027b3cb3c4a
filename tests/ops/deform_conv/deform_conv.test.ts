import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import { deformConv2d } from '../../../src/ops/deform_conv/deform_conv.js';
import { devices, useDevice } from '../devices.js';
import { maxDifference } from '../max_difference.js';

/** Repeatable numbers in [-1, 1). */
function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

describe.each(devices)('deformConv2d on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('is the plain convolution where nothing is moved', async () => {
    const x = tf.tensor4d(noise(6 * 5 * 4, 7), [1, 6, 5, 4]);
    const weight = tf.tensor4d(noise(9 * 4 * 3, 8), [3, 3, 4, 3]);
    const offset = tf.zeros<tf.Rank.R4>([1, 6, 5, 18]);
    const o = { stride: 1, padding: 1, dilation: 1, groups: 1, deformableGroups: 1 };
    const y = deformConv2d({ x, offset, weight }, o);
    const plain = tf.conv2d(x, weight, 1, 'same');
    expect(maxDifference(await y.data(), await plain.data())).toBeLessThan(2e-6);
    tf.dispose([x, weight, offset, y, plain]);
  });

  it('says what does not fit', () => {
    const x = tf.zeros<tf.Rank.R4>([1, 4, 4, 4]);
    const weight = tf.zeros<tf.Rank.R4>([3, 3, 4, 2]);
    const offset = tf.zeros<tf.Rank.R4>([1, 4, 4, 18]);
    const o = { stride: 1, padding: 1, dilation: 1, groups: 1, deformableGroups: 1 };
    expect(() => deformConv2d({ x, offset, weight }, { ...o, padding: 0 })).toThrow(
      'offset is [1, 4, 4, 18]; expected [1, 2, 2, 18]',
    );
    expect(() => deformConv2d({ x, offset, weight }, { ...o, groups: 2 })).toThrow(ArgumentError);
    expect(() => deformConv2d({ x, offset, weight }, { ...o, dilation: 0 })).toThrow('dilation is 0');
    expect(() => deformConv2d({ x, offset, weight, mask: offset }, o)).toThrow('mask is [1, 4, 4, 18]; expected [1, 4, 4, 9]');
    tf.dispose([x, weight, offset]);
  });
});
