// Registers the gradients, which tfjs-core alone lacks.
import '@tensorflow/tfjs-layers';
import { chooseDevice, type Started } from '../../backends/choose.js';
import type { BackendInfo, ConcreteDevice, Device } from '../../backends/device.js';
import { BackendError } from '../../errors.js';
import { resetBackend } from './reset_backend.js';

/** The devices of a browser, the fastest first: the order in which `auto` tries. */
export const BROWSER_DEVICES = ['webgpu', 'webgl', 'wasm', 'cpu'] as const;

/** A device that a browser may have. */
export type BrowserDevice = (typeof BROWSER_DEVICES)[number];

/** How each device is started; is told whether `auto` asks. */
export type DeviceStarters = Readonly<Record<BrowserDevice, (automatic: boolean) => Promise<string | Started>>>;

/** Loads a device's code when it is first asked for. */
const lazyStarters: DeviceStarters = {
  webgpu: async (automatic) => (await import('./webgpu.js')).startWebgpu(automatic),
  webgl: async (automatic) => (await import('./webgl.js')).startWebgl(automatic),
  wasm: async () => (await import('./wasm.js')).startWasm(),
  cpu: async () => (await import('../../backends/cpu.js')).startCpu(),
};

/**
 * Sets TensorFlow.js's backend and waits until it is ready.
 * @param device `auto` takes the fastest that works and says in `skipped` why the faster ones did not; a name takes that one or fails
 * @throws ArgumentError for a name that is none; BackendError, with what helps, where a named device does not work
 */
export async function startBackend(device: Device = 'auto', starters: DeviceStarters = lazyStarters): Promise<BackendInfo> {
  return chooseDevice(device, BROWSER_DEVICES, (candidate, automatic) => {
    if (candidate === 'tensorflow')
      throw new BackendError('device tensorflow: runs in Node only; in a browser take webgpu, webgl or wasm.');
    return starters[candidate](automatic);
  });
}

/** Gives back all that a device holds: its context, textures, buffers and programs. Predictors on it must be disposed of before. */
export function releaseBackend(device: ConcreteDevice): void {
  resetBackend(device);
}
