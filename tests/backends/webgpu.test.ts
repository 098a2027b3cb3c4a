import { afterEach, describe, expect, it, vi } from 'vitest';
import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from '../../src/backends/select.js';
import { startWebGpu } from '../../src/backends/webgpu.js';
import { nodeSource } from '../../src/backends/webgpu_node.js';
import { BackendError } from '../../src/errors.js';
import { readBack } from '../../src/ops/read_back.js';

const here = process.env.MASKRCNN_TEST_DEVICES?.split(',').includes('webgpu') === true;
const reason = here ? '' : ' (skipped: `npm run test:webgpu` runs it, with a Vulkan driver)';

/** Large enough that tfjs computes it on the device. */
const ones = (): tf.Tensor => tf.ones([4096]);

/** The device behind the running backend. */
const device = (): GPUDevice => (tf.backend() as unknown as { device: GPUDevice }).device;

async function triple(): Promise<number[]> {
  const x = ones();
  const y = tf.mul(x, 3);
  try {
    return [...new Set(await readBack(y))];
  } finally {
    tf.dispose([x, y]);
  }
}

describe.skipIf(!here)(`webgpu in Node${reason}`, () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('starts, says what it runs on, and computes with gradients', async () => {
    const info = await startBackend('webgpu');
    expect(info.device).toBe('webgpu');
    expect(info.description).toMatch(/^WebGPU through Dawn on .+\((a software driver, slow: for tests|GPU)\)$/);
    expect(await triple()).toEqual([3]);
    const gradient = tf.grad((x) => tf.sum(tf.square(x)))(tf.fill([2048], 2));
    expect([...new Set(await gradient.data())]).toEqual([4]);
    gradient.dispose();
  });

  it('is not what auto takes where only a software driver is there', async () => {
    const { software } = await startBackend('webgpu');
    if (!software) return;
    await expect(startWebGpu(nodeSource, { hardwareOnly: true })).rejects.toThrow(
      /only a software driver is there.*name the device/,
    );
    const auto = await startBackend('auto');
    expect(auto.device).not.toBe('webgpu');
    await startBackend('webgpu');
    expect(await triple()).toEqual([3]);
  });

  it('turns an error of the GPU into one of ours, once', async () => {
    await startBackend('webgpu');
    device().createShaderModule({ code: 'fn broken(' });
    await expect(triple()).rejects.toThrow(/^device webgpu: the GPU reported an error.*parsing WGSL/);
    expect(await triple()).toEqual([3]);
  });

  it('says that the device was lost, every time, and starts a new one when asked', async () => {
    await startBackend('webgpu');
    const left = ones();
    expect(await triple()).toEqual([3]);
    const lost = device();
    lost.destroy();
    await lost.lost;
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(triple()).rejects.toThrow(BackendError);
      await expect(triple()).rejects.toThrow(/device webgpu: the GPU device was lost.*load a new one/);
    }
    await startBackend('webgpu');
    expect(device()).not.toBe(lost);
    expect(await triple()).toEqual([3]);
    // What lay on the lost device can still be given back.
    left.dispose();
    expect(await triple()).toEqual([3]);
  });

  it('says that the device was lost while values were on their way', async () => {
    await startBackend('webgpu');
    expect(await triple()).toEqual([3]);
    const reading = triple();
    device().destroy();
    await expect(reading).rejects.toThrow(/device webgpu: the GPU device was lost.*load a new one/);
    await startBackend('webgpu');
    expect(await triple()).toEqual([3]);
  });

  it('says that no adapter answers', async () => {
    await startBackend('webgpu');
    const lost = device();
    lost.destroy();
    await lost.lost;
    const { gpu } = navigator;
    vi.spyOn(gpu, 'requestAdapter').mockResolvedValue(null);
    await expect(startBackend('webgpu')).rejects.toThrow(/device webgpu: no graphics adapter answers\..*VK_DRIVER_FILES|driver/);
    vi.restoreAllMocks();
    await startBackend('webgpu');
    expect(await triple()).toEqual([3]);
  });
});
