import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../errors.js';
import type { Started } from './choose.js';
import { isLost, watchDevice, type WatchedDevice } from './gpu_health.js';

/** What an adapter says of itself; drivers leave out what they like. */
export interface AdapterInfo {
  readonly vendor?: string;
  readonly architecture?: string;
  readonly device?: string;
  readonly description?: string;
  readonly isFallbackAdapter?: boolean;
}

/** The parts of WebGPU that choosing a device needs. */
export interface Gpu {
  requestAdapter(options: { powerPreference: 'high-performance' }): Promise<GpuAdapter | null>;
}

export interface GpuAdapter {
  readonly info: AdapterInfo;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: { has(name: string): boolean };
  requestDevice(descriptor: { requiredFeatures: string[]; requiredLimits: Record<string, number> }): Promise<WatchedDevice>;
}

/** tfjs's webgpu backend. */
export type WebGpuBackend = tf.KernelBackend & { device: WatchedDevice };

/** Where adapters come from, and what makes tfjs's backend. */
export interface GpuSource {
  gpu: Gpu;
  makeBackend(adapter: GpuAdapter): Promise<WebGpuBackend>;
}

export interface WebGpuOptions {
  /** Refuse drivers that run on the processor: they are for tests, and slower than wasm. */
  hardwareOnly?: boolean;
}

const inNode = typeof process !== 'undefined' && process.versions?.node !== undefined;

/** The description of each backend that was started here. */
const started = new WeakMap<object, Started>();

/**
 * Starts TensorFlow.js's WebGPU backend. A device that was lost is replaced by a new one.
 *
 * @param findSource Node's or the page's; called where a device has to be made
 * @throws BackendError where a package, an adapter or a device is missing, with what to do.
 */
export async function startWebGpu(findSource: () => Promise<GpuSource>, options: WebGpuOptions = {}): Promise<Started> {
  let backend = tf.engine().registry['webgpu'] as WebGpuBackend | undefined;
  if (!backend || isLost(backend) || !started.has(backend)) {
    const source = await findSource();
    const adapter = await findAdapter(source.gpu);
    const software = isSoftware(adapter.info);
    const facts: Started = { description: describe(adapter.info, software), ...(software ? { software } : {}) };
    refuseSoftware(facts, options);
    if (!backend || isLost(backend)) {
      backend = await source.makeBackend(adapter).catch((cause: unknown) => {
        throw new BackendError(`device webgpu: ${facts.description} gives no device: ${String(cause)}. Take another device.`, {
          cause,
        });
      });
      const fresh = backend;
      // What is registered now would hand out the lost device's backend again.
      if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu');
      tf.registerBackend('webgpu', () => fresh, 3);
    }
    started.set(backend, facts);
    watchDevice(backend, backend.device);
  }
  const facts = started.get(backend)!;
  refuseSoftware(facts, options);
  if (!(await tf.setBackend('webgpu')))
    throw new BackendError('device webgpu: TensorFlow.js refused to start its webgpu backend.');
  await tf.ready();
  return facts;
}

async function findAdapter(gpu: Gpu): Promise<GpuAdapter> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (adapter) return adapter;
  const advice =
    inNode && process.platform === 'linux'
      ? "Install the Vulkan loader (libvulkan1) and the GPU's Vulkan driver; VK_DRIVER_FILES can name one. Or take another device."
      : "Update the GPU's driver, or take another device.";
  throw new BackendError(`device webgpu: no graphics adapter answers. ${advice}`);
}

/** Drivers that compute on the processor. */
function isSoftware(info: AdapterInfo): boolean {
  const names = `${info.architecture ?? ''} ${info.device ?? ''} ${info.description ?? ''}`;
  return info.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i.test(names);
}

function describe(info: AdapterInfo, software: boolean): string {
  const name = [info.device, info.architecture, info.vendor].find((part) => part) ?? 'unnamed adapter';
  const driver = info.description ? `, ${info.description}` : '';
  return `WebGPU ${inNode ? 'through Dawn' : 'of the browser'} on ${name}${driver} (${software ? 'a software driver, slow: for tests' : 'GPU'})`;
}

function refuseSoftware({ description, software }: Started, options: WebGpuOptions): void {
  if (options.hardwareOnly && software)
    throw new BackendError(
      `device webgpu: only a software driver is there (${description}); name the device to use it all the same.`,
    );
}
