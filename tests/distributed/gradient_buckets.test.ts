import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { GradientSum, sumGradients } from '../../src/distributed/gradient_buckets.js';
import { DivergenceError } from '../../src/errors.js';
import { useDevice } from '../ops/devices.js';
import { GivenPeers } from './in_process.js';

beforeAll(() => useDevice('cpu'));

describe('sumGradients', () => {
  const gradients = () =>
    new Map<string, tf.Tensor>([
      ['a', tf.tensor2d([1, 2, 3, 4], [2, 2])],
      ['b', tf.scalar(5)],
      ['c', tf.tensor1d([6, 7, 8])],
      ['d', tf.tensor1d([9])],
    ]);

  it('adds what all ranks have, bucket by bucket from the end, and keeps names and shapes', () => {
    const before = tf.memory().numTensors;
    // Five floats a bucket: d, c and b, then a.
    const peers = [
      [90, 60, 70, 80, 50],
      [10, 20, 30, 40],
    ];
    const sums = sumGradients(new GivenPeers(0, 2, peers), gradients(), 5);
    expect([...sums].map(([name, sum]) => [name, sum.shape, [...sum.dataSync()]])).toEqual([
      ['a', [2, 2], [11, 22, 33, 44]],
      ['b', [], [55]],
      ['c', [3], [66, 77, 88]],
      ['d', [1], [99]],
    ]);
    expect(tf.memory().numTensors).toBe(before + 4);
    tf.dispose([...sums.values()]);
  });

  it('gives a tensor that is larger than a bucket one of its own', () => {
    const peers = [[1], [1, 1, 1], [1], [1, 1, 1, 1]];
    const sums = sumGradients(new GivenPeers(1, 2, peers), gradients(), 2);
    expect([...sums.get('c')!.dataSync()]).toEqual([7, 8, 9]);
    expect(sums.get('d')!.dataSync()[0]).toBe(10);
    tf.dispose([...sums.values()]);
  });

  it.each([NaN, Infinity, -Infinity])('sums nothing of a bucket with %d, and names the gradient', (value) => {
    const before = tf.memory().numTensors;
    const bad = gradients();
    bad.get('b')!.dispose();
    bad.set('b', tf.scalar(value));
    // One call alone is answered: that of d and c.
    const peers = new GivenPeers(0, 2, [[1, 1, 1, 1]]);
    const sum = () => sumGradients(peers, bad, 4);
    expect(sum).toThrow(DivergenceError);
    expect(() => sumGradients(new GivenPeers(0, 2, [[1, 1, 1, 1]]), new Map([['b', tf.scalar(value)]]), 4)).toThrow(
      'the losses are finite, but not the gradient of b. ',
    );
    expect(tf.memory().numTensors).toBe(before);
  });
});

/** Begins sums in the background, and makes them where they are waited for. */
class Lazy extends GivenPeers {
  readonly events: string[] = [];

  startSum(values: Float32Array): () => void {
    expect(values.buffer).toBeInstanceOf(SharedArrayBuffer);
    this.events.push(`begin ${values.length}`);
    return () => {
      this.events.push(`wait ${values.length}`);
      this.sum(values);
    };
  }
}

describe('GradientSum', () => {
  const shapes = [
    { name: 'a', shape: [2], size: 2 },
    { name: 'b', shape: [], size: 1 },
    { name: 'c', shape: [3], size: 3 },
  ];

  it('begins a bucket once its gradients and those of all buckets before it are there, whatever comes first', () => {
    const peers = new Lazy(0, 2, [
      [1, 1, 1],
      [1, 1, 1],
    ]);
    const [a, b] = [tf.tensor1d([5, 6]), tf.scalar(7)];
    const before = tf.memory().numTensors;
    const sum = new GradientSum(peers, shapes, 3);
    sum.give('a', a);
    sum.give('b', b);
    expect(peers.events).toEqual([]);
    // No loss of this rank depends on it; another rank's may.
    sum.give('c', undefined);
    expect(peers.events).toEqual(['begin 3', 'begin 3']);
    const sums = sum.finish();
    expect(peers.events.slice(2)).toEqual(['wait 3', 'wait 3']);
    expect([...sums].map(([name, tensor]) => [name, tensor.shape, [...tensor.dataSync()]])).toEqual([
      ['a', [2], [6, 7]],
      ['b', [], [8]],
      ['c', [3], [1, 1, 1]],
    ]);
    expect(tf.memory().numTensors).toBe(before + 3);
    tf.dispose([a, b, ...sums.values()]);
  });

  it('begins nothing behind a gradient that is not finite, and says so in the end', () => {
    const peers = new Lazy(0, 2, []);
    const [a, b, c] = [tf.tensor1d([5, 6]), tf.scalar(7), tf.tensor1d([0, NaN, 0])];
    const sum = new GradientSum(peers, shapes, 3);
    sum.give('c', c);
    sum.give('b', b);
    sum.give('a', a);
    expect(peers.events).toEqual([]);
    expect(() => sum.finish()).toThrow(/not the gradient of c\./);
    tf.dispose([a, b, c]);
  });
});
