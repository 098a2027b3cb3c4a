import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { devices, useDevice } from '../ops/devices.js';
import { compareDenseChoice } from './dense_problems.js';

const here = devices.includes('webgpu');
const reason = here ? '' : ' (skipped: `npm run test:webgpu` runs it, with a Vulkan driver)';

describe.skipIf(!here)(`the choice of candidates of a one-stage detector on webgpu${reason}`, () => {
  it.each([
    ['a few', [6, 7], 25],
    ['so many that slices are looked through first', [40, 52], 300],
  ] as const)('makes the detections that all outputs give: %s', async (_, cells, topK) => {
    await useDevice('webgpu');
    const before = tf.memory().numTensors;
    for (const { found, expected, boxes } of await compareDenseChoice(cells, topK)) {
      expect(expected.length).toBeGreaterThan(20);
      expect(found).toEqual(expected);
      expect(boxes).toBeLessThan(1e-3);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
