import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';
import { BackendError } from '../errors.js';
import { corePathFrom, refuseSecondCore } from './core_copies.js';
import { nativeSearchPlaces } from './native_package.js';
import type { AdapterInfo, Gpu, GpuAdapter, GpuSource, WebGpuBackend } from './webgpu.js';
import type { WatchedDevice } from './gpu_health.js';

const BACKEND = '@tensorflow/tfjs-backend-webgpu';
const INSTALL = `npm install webgpu ${BACKEND}@4.22.0`;

/** What is used of npm's `webgpu` (Dawn). */
interface Dawn {
  create(options: string[]): Gpu;
  globals: object;
}

/** tfjs's backend class, made over a device. */
type BackendClass = new (device: WatchedDevice, info: AdapterInfo) => WebGpuBackend;

/** What is asked of the adapter beyond WebGPU's minimum: whatever it has. */
const LIMITS = [
  'maxBufferSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
];

let source: Promise<GpuSource> | undefined;

/**
 * Gives this process WebGPU: Dawn from npm's `webgpu`, as `navigator.gpu`, and TensorFlow.js's backend for it. Both are optional peers.
 *
 * @throws BackendError that names the package that is missing, or that does not load, and the command
 */
export function nodeSource(): Promise<GpuSource> {
  // Dawn must be created once: a second instance would not share devices with the first.
  source ??= load().catch((error: unknown) => {
    source = undefined;
    throw error;
  });
  return source;
}

async function load(): Promise<GpuSource> {
  const [dawnFile, backendFile] = [find('webgpu'), find(BACKEND)];
  const missing = [...(dawnFile ? [] : ['webgpu']), ...(backendFile ? [] : [BACKEND])];
  if (!dawnFile || !backendFile) {
    throw new BackendError(
      `device webgpu: ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not installed. Run \`${INSTALL}\`.`,
    );
  }
  refuseSecondCore(corePathFrom(import.meta.url), corePathFrom(pathToFileURL(backendFile)), BACKEND);
  // Linux drivers ask for a place of the user's; a server or a container often has none.
  if (process.platform === 'linux') process.env.XDG_RUNTIME_DIR ??= tmpdir();
  let gpu: Gpu;
  try {
    const dawn = (await import(pathToFileURL(dawnFile).href)) as Dawn;
    Object.assign(globalThis, dawn.globals);
    gpu = dawn.create(process.platform === 'linux' ? ['backend=vulkan'] : []);
  } catch (cause) {
    throw new BackendError(
      `device webgpu: the package webgpu (${dawnFile}) does not load: ${firstLine(cause)}. Run \`${INSTALL}\`.`,
      { cause },
    );
  }
  // Node 20 has no navigator, later ones have one without gpu; the backend looks here when it is imported.
  if (!('navigator' in globalThis))
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true, writable: true });
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
  const { WebGPUBackend } = createRequire(backendFile)(backendFile) as { WebGPUBackend: BackendClass };
  return { gpu, makeBackend: async (adapter) => new WebGPUBackend(await requestDevice(adapter), adapter.info) };
}

/** The stock factory asks for a feature in a form that only browsers take; besides, the adapter should be the one that was looked at. */
function requestDevice(adapter: GpuAdapter): Promise<WatchedDevice> {
  return adapter.requestDevice({
    requiredFeatures: ['timestamp-query'].filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
  });
}

/** The file that a package would load, looked for beside this package and in the project that the process was started in. */
function find(name: string): string | undefined {
  for (const place of nativeSearchPlaces()) {
    try {
      return realpathSync(createRequire(place).resolve(name));
    } catch {
      continue;
    }
  }
  return undefined;
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0];
}
