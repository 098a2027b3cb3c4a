import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Tape, withoutTape } from '../../src/autodiff/tape.js';
import { devices, useDevice } from '../ops/devices.js';

describe.each(devices)('Tape on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('records parts with other work between them, and leaves no tensor behind', async () => {
    const x = tf.variable(tf.tensor1d([1, 2, 3]));
    const unused = tf.variable(tf.scalar(1));
    const before = tf.memory().numTensors;
    const tape = new Tape();
    const square = tape.record(() => tf.tidy(() => tf.square(x)));
    // Neither recorded nor disposed of.
    const other = tf.mul(x, 100);
    await square.data();
    const y = tape.record(() => tf.tidy(() => tf.sum(tf.add(square, tf.mul(square, x))))) as tf.Scalar;
    const [dx, none] = tape.gradients(y, [x, unused]);
    expect([...(await dx!.data())]).toEqual([5, 16, 33]);
    expect(none).toBeUndefined();
    expect([...(await other.data())]).toEqual([100, 200, 300]);
    tf.dispose([square, other, y, dx!]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, unused]);
  });

  it('agrees with tf.grads where a tensor is used twice, passed through, and reshaped', async () => {
    const a = tf.tensor2d([1, -2, 3, 4], [2, 2]);
    const b = tf.tensor2d([0.5, 1, -1, 2], [2, 2]);
    const f = (u: tf.Tensor, v: tf.Tensor): tf.Scalar => {
      const sum = tf.add(u, tf.add(u, v));
      const maps = tf.concat([tf.relu(sum), tf.reshape(tf.matMul(u as tf.Tensor2D, v as tf.Tensor2D), [2, 2]), sum], 1);
      return tf.sum(tf.mul(maps, tf.slice(maps, [0, 0], [2, 6])));
    };
    const wanted = tf.grads(f)([a, b]);
    const tape = new Tape();
    const y = tape.record(() => tf.tidy(() => f(a, b)));
    const got = tape.gradients(y, [a, b]);
    for (const i of [0, 1]) expect([...(await got[i]!.data())]).toEqual([...(await wanted[i].data())]);
    tf.dispose([a, b, y, ...wanted, ...got.map((g) => g!)]);
  });

  it('tells of each gradient once nothing is added to it any more, later layers first', async () => {
    const [x, w, v, unused] = [2, 3, 5, 7].map((value) => tf.variable(tf.scalar(value))) as tf.Variable[];
    const before = tf.memory().numTensors;
    const tape = new Tape();
    // x is used by the first operation and again by the last: (x w) v + x.
    const y = tape.record(() => tf.tidy(() => tf.add(tf.mul(tf.mul(x!, w!), v!), x!))) as tf.Scalar;
    const early: [number, tf.Tensor | undefined][] = [];
    const gradients = tape.gradients(y, [x!, w!, v!, unused!], (place, gradient) =>
      early.push([place, gradient && tf.keep(tf.clone(gradient))]),
    );
    const valueOf = async (tensor: tf.Tensor | null | undefined) => (await tensor?.data())?.[0];
    const told: [number, number | undefined][] = [];
    for (const [place, gradient] of early) told.push([place, await valueOf(gradient)]);
    // The unused one at once; then v; w and x last, whichever comes first, x with what both of its uses add.
    expect(told.slice(0, 2)).toEqual([
      [3, undefined],
      [2, 6],
    ]);
    expect(told.slice(2).sort(([a], [b]) => a - b)).toEqual([
      [0, 16],
      [1, 10],
    ]);
    expect(await Promise.all(gradients.map(valueOf))).toEqual([16, 10, 6, undefined]);
    tf.dispose([y, ...gradients.flatMap((gradient) => gradient ?? []), ...early.flatMap(([, gradient]) => gradient ?? [])]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x!, w!, v!, unused!]);
  });

  it('stops at a part without tape', async () => {
    const before = tf.memory().numTensors;
    const x = tf.scalar(3);
    const tape = new Tape();
    const y = tape.record(() =>
      tf.tidy(() =>
        tf.mul(
          withoutTape(() => tf.square(x)),
          x,
        ),
      ),
    ) as tf.Scalar;
    const [dx] = tape.gradients(y, [x]);
    expect((await dx!.data())[0]).toBe(9);
    tf.dispose([x, y, dx!]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('gives up what it kept where no gradient is asked for', () => {
    const before = tf.memory().numTensors;
    const x = tf.scalar(3);
    const tape = new Tape();
    tf.dispose(tape.record(() => tf.tidy(() => tf.square(x))));
    tape.dispose();
    x.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
