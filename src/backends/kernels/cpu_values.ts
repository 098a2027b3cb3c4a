import type * as tf from '@tensorflow/tfjs-core';

/** What kernels here use of the cpu backend. */
export interface CpuBackend {
  data: { get(dataId: tf.DataId): { values?: tf.backend_util.BackendValues } };
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): tf.TensorInfo;
}

/** A float32 tensor's own numbers, not a copy. */
export const valuesOf = (backend: CpuBackend, tensor: tf.TensorInfo): Float32Array =>
  backend.data.get(tensor.dataId).values as Float32Array;
