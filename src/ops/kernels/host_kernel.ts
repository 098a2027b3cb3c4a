import * as tf from '@tensorflow/tfjs-core';
import type { WasmBackend } from './wasm_heap.js';

/** A float32 tensor's shape and values on the host. */
export interface HostArray {
  shape: number[];
  values: Float32Array;
}

/** How a backend whose data the host can reach gives values and takes them. */
interface HostAccess {
  /** A view or a copy; views of wasm die when its heap grows, so they are taken before anything is made. */
  read(backend: tf.KernelBackend, tensor: tf.TensorInfo): Float32Array;
  make(backend: tf.KernelBackend, array: HostArray): tf.TensorInfo;
}

interface CpuBackend {
  data: { get(dataId: tf.DataId): { values: Float32Array } };
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): tf.TensorInfo;
}

const BY_COPY: HostAccess = {
  read: (backend, { dataId }) => backend.readSync(dataId) as Float32Array,
  make: (backend, { shape, values }) => ({ dataId: backend.write(values, shape, 'float32'), shape, dtype: 'float32' }),
};

const ACCESS: Record<string, HostAccess> = {
  cpu: {
    read: (backend, { dataId }) => (backend as unknown as CpuBackend).data.get(dataId).values,
    make: (backend, { shape, values }) => (backend as unknown as CpuBackend).makeTensorInfo(shape, 'float32', values),
  },
  wasm: {
    read: (backend, tensor) => (backend as unknown as WasmBackend).typedArrayFromHeap(tensor) as Float32Array,
    make: (backend, { shape, values }) => (backend as unknown as WasmBackend).makeOutput(shape, 'float32', undefined, values),
  },
  tensorflow: BY_COPY,
};

/** Backends whose tensors the host reads without waiting. */
export const HOSTS: readonly string[] = ['cpu', 'wasm', 'tensorflow'];

/**
 * Registers one plain function as a kernel of the backends that the host reaches: cpu, wasm and tensorflow. Inputs and outputs are float32.
 * @param kernel gives one output or several; its arrays are its own, and are not written to afterwards
 */
export function registerHostKernel<A>(
  kernelName: string,
  kernel: (inputs: Record<string, HostArray>, attributes: A) => HostArray | HostArray[],
): void {
  for (const backendName of HOSTS) {
    const { read, make } = ACCESS[backendName];
    if (tf.getKernel(kernelName, backendName)) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
        const backend = anyBackend as tf.KernelBackend;
        const arrays: Record<string, HostArray> = {};
        for (const [name, tensor] of Object.entries(inputs)) {
          const info = tensor as tf.TensorInfo | undefined;
          if (info) arrays[name] = { shape: info.shape, values: read(backend, info) };
        }
        const made = kernel(arrays, attrs as unknown as A);
        return Array.isArray(made) ? made.map((array) => make(backend, array)) : make(backend, made);
      },
    });
  }
}
