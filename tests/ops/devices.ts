import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { startBackend, type Device } from '../../src/backends/select.js';

/** Loads the optional native backend where it is installed; the name is a variable so that types do not depend on it. */
async function hasTensorflow(): Promise<boolean> {
  const name = '@tensorflow/tfjs-node';
  try {
    await import(/* @vite-ignore */ name);
    return true;
  } catch {
    return false;
  }
}

const named = process.env.MASKRCNN_TEST_DEVICES?.split(',');

/** Importing the addon also registers its backend, so it is asked for whenever tensorflow may be used. */
const native = (named === undefined || named.includes('tensorflow')) && (await hasTensorflow());

/**
 * The backends that run in this process: cpu and wasm always, tensorflow where its addon loads; or those that MASKRCNN_TEST_DEVICES names,
 * as `npm run test:webgpu` does.
 */
export const devices: string[] = named ?? ['cpu', 'wasm', ...(native ? ['tensorflow'] : [])];

/** Makes a backend the current one. */
export async function useDevice(device: string): Promise<void> {
  if (device === 'webgpu') await startBackend(device as Device);
  if (!(await tf.setBackend(device))) throw new Error(`the ${device} backend did not start`);
  await tf.ready();
}
