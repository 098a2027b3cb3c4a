import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { readBacks } from '../../src/ops/read_back.js';
import { devices, useDevice } from '../ops/devices.js';
import { differentLabels } from './label_problems.js';

describe.each(devices)('the classes of pixels on %s', (device) => {
  it('are those of plain loops, and come back together with other values', async () => {
    await useDevice(device);
    const [before, reads] = [tf.memory().numTensors, readBacks.count];
    expect(await differentLabels()).toEqual({ different: 0, joined: 0 });
    expect(readBacks.count - reads).toBe(device === 'webgpu' ? 1 : 2);
    expect(tf.memory().numTensors).toBe(before);
  });
});
