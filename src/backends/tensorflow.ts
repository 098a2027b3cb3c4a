import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../errors.js';
import { withKnownAddon } from './addon_finder.js';
import { corePathFrom, refuseSecondCore } from './core_copies.js';
import { guardTensorflowFilterGradient } from './kernels/tensorflow_conv2d_backprop_filter.js';
import { findNativePackages, type NativePackage } from './native_package.js';
import { guardTensorflowMemory } from './tensorflow_memory.js';
import { supplyRemovedUtil } from './util_shim.js';

/** The one command that gives a machine the native backend. */
export const SETUP_COMMAND = 'npx maskrcnn setup';

interface Binding {
  TF_Version?: string;
  isUsingGpuDevice?: () => boolean;
}

/**
 * Loads the first installed tfjs-node that works and makes it TensorFlow.js's backend `tensorflow`.
 *
 * @returns a description with the versions.
 * @throws BackendError with the reason and the command that fixes it: not installed, addon missing, library that does not load, second tfjs-core.
 */
export async function startTensorflow(packages: NativePackage[] = findNativePackages()): Promise<string> {
  if (tf.findBackendFactory('tensorflow')) {
    await activate();
    return describe('the tfjs-node that this process had loaded');
  }
  if (packages.length === 0) {
    throw new BackendError(`device tensorflow: @tensorflow/tfjs-node is not installed. Run \`${SETUP_COMMAND}\`.`);
  }
  const reasons: string[] = [];
  for (const candidate of packages) {
    const reason = load(candidate);
    if (reason === undefined) {
      await activate();
      return describe(`${candidate.name} ${candidate.version}`);
    }
    reasons.push(`${candidate.name} ${candidate.version} (${candidate.folder}): ${reason}`);
  }
  throw new BackendError(`device tensorflow: ${reasons.join('; ')}. Run \`${SETUP_COMMAND}\`.`);
}

/** Loads one package; answers with the reason where it cannot. A second tfjs-core is thrown: set-up does not cure it. */
function load(candidate: NativePackage): string | undefined {
  refuseSecondCore(corePathFrom(import.meta.url), candidate.core, candidate.name);
  if (!candidate.addonExists) return 'its compiled addon is missing';
  supplyRemovedUtil();
  // libtensorflow prints its processor features on stderr unless told not to.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  // TensorFlow's own allocator keeps big blocks: the C library gives them back at every release, and the system zeroes every activation anew, page
  // by page (a seventh of an inference's processor time).
  process.env.TF_CPU_ALLOCATOR_USE_BFC ??= '1';
  process.env.TF_CPU_BFC_MEM_LIMIT_IN_MB ??= String(Math.ceil(totalmem() / 2 ** 20));
  const from = join(candidate.folder, 'package.json');
  const require = createRequire(from);
  try {
    // The addon first: where the library does not load, no kernel has been registered yet and the next package can be tried cleanly.
    require(candidate.addon);
    withKnownAddon(from, candidate.addon, () => void require(candidate.folder));
    return undefined;
  } catch (error) {
    return `does not load: ${String(error instanceof Error ? error.message : error).split('\n')[0]}`;
  }
}

async function activate(): Promise<void> {
  if (!(await tf.setBackend('tensorflow')))
    throw new BackendError(`device tensorflow: the backend refused to start. Run \`${SETUP_COMMAND}\`.`);
  await tf.ready();
  guardTensorflowMemory();
  guardTensorflowFilterGradient();
}

function describe(by: string): string {
  const { binding } = tf.backend() as unknown as { binding?: Binding };
  const version = binding?.TF_Version ? `libtensorflow ${binding.TF_Version}` : 'libtensorflow';
  return `${version} through ${by}, ${binding?.isUsingGpuDevice?.() ? 'GPU' : 'CPU'}`;
}
