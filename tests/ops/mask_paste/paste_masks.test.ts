import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/data/random.js';
import { ArgumentError } from '../../../src/errors.js';
import { pasteMask } from '../../../src/ops/mask_paste/mask_paste.js';
import { pasteMasks, unpackMasks } from '../../../src/ops/mask_paste/paste_masks.js';
import { devices, useDevice } from '../devices.js';

describe.each(devices)('masks pasted on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('are the pixels of the plain function: boxes inside, beyond the picture, tiny, without area', async () => {
    const [size, height, width] = [7, 41, 53];
    const boxes = [[3.2, 4.7, 40.1, 30.9], [-20, -5, 12.5, 60], [45, 30, 90, 80], [10.1, 10.2, 10.6, 11.9], [5, 5, 5, 9], [200, 0, 210, 9]]; // prettier-ignore
    const random = new Random(9);
    const values = Float32Array.from({ length: boxes.length * size * size }, () => random.uniform(0, 1));
    // The first is the threshold throughout, which counts.
    values.fill(0.5, 0, size * size);
    const before = tf.memory().numTensors;
    const masks = tf.tensor3d(values.slice(), [boxes.length, size, size]);
    const words = pasteMasks(masks, Float32Array.from(boxes.flat()), height, width);
    expect(words.shape).toEqual([boxes.length, height, 4]);
    const found = unpackMasks((await words.data()) as Float32Array, height, width);
    const expected = new Uint8Array(found.length);
    boxes.forEach((box, d) => {
      const crop = pasteMask(values.subarray(d * size * size, (d + 1) * size * size), size, box, height, width);
      for (let y = crop.y0, at = 0; y < crop.y1; y++)
        for (let x = crop.x0; x < crop.x1; x++, at++) expected[(d * height + y) * width + x] = crop.bitmap[at];
    });
    expect(expected.filter(Boolean).length).toBeGreaterThan(500);
    expect(Buffer.compare(Buffer.from(found), Buffer.from(expected))).toBe(0);
    tf.dispose([masks, words]);
    expect(tf.memory().numTensors).toBe(before);
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
