import { beforeAll, describe, expect, it } from 'vitest';
import '../../src/backends/kernels/wasm_conv2d.js';
import '../../src/backends/kernels/wasm_training.js';
import { devices, useDevice } from './devices.js';
import { heldAround, OP_NAMES } from './memory_problems.js';

describe.each(devices)('100 runs on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each(OP_NAMES)('%s leaves tensors, GPU buffers and the wasm heap as they were', async (name) => {
    const found = await heldAround(name, 100);
    expect(found).toBeDefined();
    expect(found!.after).toEqual(found!.before);
  });
});
