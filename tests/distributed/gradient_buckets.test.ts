import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { sumGradients } from '../../src/distributed/gradient_buckets.js';
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

  it('adds what all ranks have, bucket by bucket, and keeps names and shapes', () => {
    const before = tf.memory().numTensors;
    // Five floats a bucket: a and b, then c and d.
    const peers = [
      [10, 20, 30, 40, 50],
      [60, 70, 80, 90],
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
    const peers = [[1, 1, 1, 1], [1], [1, 1, 1], [1]];
    const sums = sumGradients(new GivenPeers(1, 2, peers), gradients(), 2);
    expect([...sums.get('c')!.dataSync()]).toEqual([7, 8, 9]);
    expect(sums.get('d')!.dataSync()[0]).toBe(10);
    tf.dispose([...sums.values()]);
  });
});
