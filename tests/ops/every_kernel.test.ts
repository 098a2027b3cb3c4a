import { beforeAll, describe, expect, it } from 'vitest';
import '../../src/backends/kernels/cpu_conv2d_gradients.js';
import '../../src/backends/kernels/wasm_conv2d.js';
import '../../src/backends/kernels/wasm_training.js';
import { devices, useDevice } from './devices.js';
import { KERNEL_NAMES, kernelDifferences } from './kernel_problems/index.js';

describe.each(devices)('on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each(KERNEL_NAMES)('%s has the value and the gradients of its definition, and leaves nothing behind', async (name) => {
    expect(await kernelDifferences(name)).toEqual([]);
  });
});
