import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { getConfig, publishedConfigNames, unsupportedSettings } from '../../src/config/index.js';
import { ConfigError } from '../../src/errors.js';
import { buildModel } from '../../src/meta_arch/build_model.js';

// The same architectures, narrow: whether a model can be built does not hang on its widths.
const NARROW = [
  'MODEL.RESNETS.STEM_OUT_CHANNELS=32',
  'MODEL.RESNETS.RES2_OUT_CHANNELS=32',
  'MODEL.FPN.OUT_CHANNELS=32',
  'MODEL.ROI_BOX_HEAD.FC_DIM=8',
  'MODEL.ROI_BOX_HEAD.CONV_DIM=32',
  'MODEL.ROI_MASK_HEAD.CONV_DIM=32',
  'MODEL.ROI_HEADS.NUM_CLASSES=2',
];

beforeAll(async () => {
  await startBackend('cpu');
});
// Tests that never wait would keep the runner's messages waiting.
afterEach(() => setImmediate());

it.each(publishedConfigNames())('%s is called supported exactly where it can be built', (name) => {
  const groups = getConfig(name).MODEL.RESNETS.NUM_GROUPS;
  const cfg = getConfig(name, [...NARROW, `MODEL.RESNETS.WIDTH_PER_GROUP=${groups > 1 ? 1 : 32}`]);
  const tensors = tf.memory().numTensors;
  if (unsupportedSettings(cfg).length > 0) {
    expect(() => buildModel(cfg)).toThrow(ConfigError);
    return;
  }
  buildModel(cfg).dispose();
  expect(tf.memory().numTensors).toBe(tensors);
});
