import type { NativePackageName } from '../native_package.js';

/** One way to a libtensorflow that was seen to work with tfjs-node 4.22. */
export interface NativeRecipe {
  package: NativePackageName;
  packageVersion: string;
  /** PyPI wheels that carry `libtensorflow_cc.so.2`, the first that this machine's pip accepts is taken. */
  wheels: { name: string; version: string; megabytes: number; unpackedMegabytes: number }[];
  /** The wheel's own extra that names its CUDA libraries. */
  cudaExtra?: string;
}

/** Which Python a wheel is made for does not matter here; this one exists for every version below. */
export const WHEEL_PYTHON = '3.11';

export const CPU_RECIPE: NativeRecipe = {
  package: '@tensorflow/tfjs-node',
  packageVersion: '4.22.0',
  wheels: [
    { name: 'tensorflow-cpu', version: '2.21.0', megabytes: 274, unpackedMegabytes: 853 },
    // For systems with an older C library than the newest wheel wants.
    { name: 'tensorflow-cpu', version: '2.15.1', megabytes: 207, unpackedMegabytes: 700 },
  ],
};

export const GPU_RECIPE: NativeRecipe = {
  package: '@tensorflow/tfjs-node-gpu',
  packageVersion: '4.22.0',
  wheels: [{ name: 'tensorflow', version: '2.18.1', megabytes: 616, unpackedMegabytes: 1250 }],
  cudaExtra: 'and-cuda',
};
