import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import { pasteMasks } from '../../../src/ops/mask_paste/paste_masks.js';
import { devices, useDevice } from '../devices.js';
import { comparePaste } from './problems.js';

describe.each(devices)('masks pasted on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('are the pixels of the plain function: boxes inside, beyond the picture, tiny, without area', async () => {
    const { shape, set, wrong, newTensors } = await comparePaste();
    expect(shape).toEqual([6, 41, 4]);
    expect(set).toBeGreaterThan(500);
    expect([wrong, newTensors]).toEqual([0, 0]);
  });

  it('may be none, and say what does not fit', () => {
    const none = tf.tensor3d(new Float32Array(0), [0, 28, 28]);
    const words = pasteMasks(none, new Float32Array(0), 9, 17);
    expect(words.shape).toEqual([0, 9, 2]);
    expect(() => pasteMasks(none, new Float32Array(4), 9, 17)).toThrow('4 box numbers for 0 masks');
    expect(() => pasteMasks(none, new Float32Array(0), 0, 17)).toThrow(ArgumentError);
    expect(() => pasteMasks(none, new Float32Array(0), 9, 17, 0)).toThrow('the threshold is 0');
    tf.dispose([none, words]);
  });
});
