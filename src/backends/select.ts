import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients, which tfjs-core alone lacks in Node.
import '@tensorflow/tfjs-layers';
import { BackendError } from '../errors.js';
import { chooseDevice, type Started } from './choose.js';
import type { BackendInfo, ConcreteDevice, Device } from './device.js';

export { DEVICES, type BackendInfo, type ConcreteDevice, type Device } from './device.js';

const inNode = typeof process !== 'undefined' && process.versions?.node !== undefined;

/** The order in which `auto` tries, the fastest first; of webgpu it takes a GPU only, never a software driver. */
export const AUTO_ORDER: readonly ConcreteDevice[] = inNode
  ? ['tensorflow', 'webgpu', 'wasm', 'cpu']
  : ['webgpu', 'webgl', 'wasm', 'cpu'];

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

async function start(device: ConcreteDevice, automatic: boolean): Promise<string | Started> {
  switch (device) {
    case 'tensorflow':
      if (!inNode) throw new BackendError('device tensorflow: runs in Node only; in a browser take webgpu, webgl or wasm.');
      return (await import('./tensorflow.js')).startTensorflow();
    case 'wasm':
      return (await import('./wasm.js')).startWasm();
    case 'cpu':
      return (await import('./cpu.js')).startCpu();
    case 'webgpu': {
      const { startWebGpu } = await import('./webgpu.js');
      const source = inNode ? (await import('./webgpu_node.js')).nodeSource : (await import('./webgpu_page.js')).pageSource;
      return startWebGpu(source, { hardwareOnly: automatic });
    }
    case 'webgl':
      return startWebgl();
  }
}

/** The WebGL backend starts where the page has imported its package. */
async function startWebgl(): Promise<string> {
  if (!tf.findBackendFactory('webgl')) {
    throw new BackendError(
      'device webgl: not registered in this process. ' +
        (inNode
          ? 'In Node take tensorflow (`npx maskrcnn setup`), webgpu or wasm.'
          : "Import '@tensorflow/tfjs-backend-webgl' before starting."),
    );
  }
  if (!(await tf.setBackend('webgl')))
    throw new BackendError('device webgl: this browser or its driver refuses to start it. Take wasm.');
  await tf.ready();
  return 'webgl, as registered by the page';
}
