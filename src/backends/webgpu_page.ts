import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../errors.js';
import type { Gpu, GpuSource, WebGpuBackend } from './webgpu.js';

let pageFactory: ReturnType<typeof tf.findBackendFactory> | undefined;

/**
 * WebGPU of a page. The factory that its import registered is kept: removing a lost backend removes the factory with it.
 *
 * @throws BackendError where the browser has no WebGPU, or the page has not imported `@tensorflow/tfjs-backend-webgpu`
 */
export async function pageSource(): Promise<GpuSource> {
  const { gpu } = navigator as unknown as { gpu?: Gpu };
  if (!gpu)
    throw new BackendError(
      'device webgpu: this browser has no WebGPU (a page needs https or localhost for it). Take webgl or wasm.',
    );
  // Absent is null here, in spite of the type.
  const factory = (pageFactory ??= tf.findBackendFactory('webgpu') ?? undefined);
  if (!factory)
    throw new BackendError("device webgpu: import '@tensorflow/tfjs-backend-webgpu' in the page before starting the device.");
  return { gpu, makeBackend: async () => (await factory()) as WebGpuBackend };
}
