import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import { type DeformConvInputs, deformConv2d } from '../../../src/ops/deform_conv/deform_conv.js';
import { deformConvReference } from '../../../src/ops/deform_conv/reference.js';
import { devices, useDevice } from '../devices.js';
import { maxDifference } from '../max_difference.js';

type Shape4 = [number, number, number, number];

/** Repeatable numbers in [-1, 1). */
function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

interface Setting {
  groups: number;
  deformableGroups: number;
  stride: number;
  padding: number;
  dilation: number;
  modulated: boolean;
}

/** Two images; offsets reach outside of the map, and stay clear of whole numbers, where the gradient has a kink. */
function problem({ modulated, ...o }: Setting) {
  const [kh, kw] = [3, 2];
  const x: Shape4 = [2, 7, 9, 12];
  const weight: Shape4 = [kh, kw, 12 / o.groups, 6];
  const out = (n: number, k: number) => Math.floor((n + 2 * o.padding - o.dilation * (k - 1) - 1) / o.stride) + 1;
  const places = [2, out(7, kh), out(9, kw)];
  const offset = [...places, o.deformableGroups * kh * kw * 2] as Shape4;
  const mask = [...places, o.deformableGroups * kh * kw] as Shape4;
  const values = {
    x: noise(size(x), 1),
    weight: noise(size(weight), 2),
    offset: noise(size(offset), 3).map((v) => {
      const moved = 3 * v;
      const part = moved - Math.floor(moved);
      return Math.floor(moved) + 0.05 + 0.9 * part;
    }),
    mask: modulated ? noise(size(mask), 4) : undefined,
    bias: noise(6, 5),
  };
  return { o, shapes: { x, weight, offset, mask, bias: [6] }, values, outShape: [...places, 6] as Shape4 };
}

const settings: [string, Setting][] = [
  ['version 1', { groups: 1, deformableGroups: 1, stride: 1, padding: 1, dilation: 1, modulated: false }],
  ['modulated, groups that cut across', { groups: 2, deformableGroups: 3, stride: 1, padding: 0, dilation: 2, modulated: true }],
  ['stride 2, more groups', { groups: 3, deformableGroups: 2, stride: 2, padding: 2, dilation: 1, modulated: true }],
];

describe.each(devices)('deformConv2d on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each(settings)('equals the definition, and its gradients finite differences of it: %s', async (_, setting) => {
    const { o, shapes, values, outShape } = problem(setting);
    const names = (['x', 'offset', 'weight', 'bias', 'mask'] as const).filter((name) => values[name]);
    const before = tf.memory().numTensors;
    const tensors = names.map((name) => tf.tensor(values[name]!.slice(), shapes[name]));
    const run = (...list: tf.Tensor[]): tf.Tensor4D =>
      deformConv2d(Object.fromEntries(names.map((name, i) => [name, list[i]])) as unknown as DeformConvInputs, o);
    const reference = (v: typeof values): Float64Array =>
      deformConvReference(
        { shape: shapes.x, values: v.x },
        v.offset,
        { shape: shapes.weight, values: v.weight },
        v.mask,
        v.bias,
        o,
      );
    const y = run(...tensors);
    expect(y.shape).toEqual(outShape);
    expect(maxDifference(await y.data(), reference(values))).toBeLessThan(1e-5);

    const dy = noise(y.size, 6);
    const upstream = tf.tensor(dy.slice(), y.shape);
    const gradients: Record<string, Float32Array>[] = [];
    for (const deterministic of [false, true]) {
      tf.env().set('MASKRCNN_DETERMINISTIC', deterministic);
      const list = tf.grads(run)(tensors, upstream);
      const read: Record<string, Float32Array> = {};
      for (const [i, name] of names.entries()) read[name] = (await list[i].data<'float32'>()).slice();
      gradients.push(read);
      tf.dispose(list);
    }
    tf.env().set('MASKRCNN_DETERMINISTIC', false);
    const loss = (v: typeof values): number => reference(v).reduce((sum, value, i) => sum + value * dy[i], 0);
    for (const name of names) {
      const length = values[name]!.length;
      // Powers of two, so that float32 inputs move exactly; the loss is at most quadratic in one number between kinks.
      const step = 2 ** -8;
      for (let i = 0; i < length; i += Math.max(1, Math.floor(length / 40))) {
        const moved = (by: number): number => {
          const copy = values[name]!.slice();
          copy[i] += by;
          return loss({ ...values, [name]: copy });
        };
        const slope = (moved(step) - moved(-step)) / (2 * step);
        for (const computed of gradients) expect(Math.abs(computed[name][i] - slope)).toBeLessThan(1e-3);
      }
    }
    tf.dispose([tensors, y, upstream]);
    expect(tf.memory().numTensors).toBe(before);
  });

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
