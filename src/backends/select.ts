import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients, which tfjs-core alone lacks in Node.
import '@tensorflow/tfjs-layers';
import { BackendError } from '../errors.js';
import { chooseDevice } from './choose.js';
import type { BackendInfo, ConcreteDevice, Device } from './device.js';

export { DEVICES, type BackendInfo, type ConcreteDevice, type Device } from './device.js';

const inNode = typeof process !== 'undefined' && process.versions?.node !== undefined;

/** The order in which `auto` tries, the fastest first. */
export const AUTO_ORDER: readonly ConcreteDevice[] = inNode ? ['tensorflow', 'wasm', 'cpu'] : ['webgpu', 'webgl', 'wasm', 'cpu'];

/**
 * Sets TensorFlow.js's backend and waits until it is ready.
 *
 * @param device `auto` takes the fastest that works and says in `skipped` why the faster ones did not; a name takes that one or fails.
 * @throws ArgumentError for a name that is none; BackendError, with the command that helps, where a named device does not work or where two copies of
 *   tfjs-core are loaded.
 */
export async function startBackend(device: Device = 'auto'): Promise<BackendInfo> {
  if (inNode) (await import('./core_copies.js')).refuseLoadedSecondCore();
  return chooseDevice(device, AUTO_ORDER, start);
}

async function start(device: ConcreteDevice): Promise<string> {
  switch (device) {
    case 'tensorflow':
      if (!inNode) throw new BackendError('device tensorflow: runs in Node only; in a browser take webgpu, webgl or wasm.');
      return (await import('./tensorflow.js')).startTensorflow();
    case 'wasm':
      return (await import('./wasm.js')).startWasm();
    case 'cpu':
      return (await import('./cpu.js')).startCpu();
    case 'webgpu':
    case 'webgl':
      return startRegistered(device);
  }
}

/** The GPU backends of browsers start where the page has imported their package. */
async function startRegistered(device: 'webgpu' | 'webgl'): Promise<string> {
  if (!tf.findBackendFactory(device)) {
    throw new BackendError(
      `device ${device}: not registered in this process. ` +
        (inNode
          ? 'In Node take tensorflow (`npx maskrcnn setup`) or wasm.'
          : `Import '@tensorflow/tfjs-backend-${device}' before starting.`),
    );
  }
  if (!(await tf.setBackend(device)))
    throw new BackendError(`device ${device}: this browser or its driver refuses to start it. Take wasm.`);
  await tf.ready();
  return `${device}, as registered by the page`;
}
