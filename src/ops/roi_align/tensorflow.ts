import type { backend_util, DataId, TensorInfo } from '@tensorflow/tfjs-core';
import { HostRoiAlignOf } from './host.js';
import { registerRoiAlign } from './kernel_names.js';

/** What is used of the TensorFlow backend (tfjs-node, tfjs-node-gpu). */
interface TensorflowBackend {
  tensorMap: { has(dataId: DataId): boolean };
  readSync(dataId: DataId): backend_util.BackendValues;
  write(values: backend_util.BackendValues, shape: number[], dtype: 'float32'): DataId;
  disposeData(dataId: DataId, force?: boolean): boolean;
  /** Uploads what was only written so far. Private in the backend's types. */
  getInputTensorIds?(tensors: TensorInfo[]): number[];
}

/** Uploads now, while the values are there, instead of at first use. */
function upload(backend: TensorflowBackend, values: Float32Array, shape: number[]): TensorInfo {
  const tensor: TensorInfo = { dataId: backend.write(values, shape, 'float32'), shape, dtype: 'float32' };
  backend.getInputTensorIds!([tensor]);
  return tensor;
}

/**
 * Whether an upload of values that are not aligned to 64 bytes is a copy. TensorFlow shares the memory of aligned arrays, and copies
 * others; what counts as aligned depends on how it was built. A copy straight from the kernels' memory saves one through JavaScript.
 */
function copiesUnaligned(backend: TensorflowBackend): boolean {
  if (!backend.getInputTensorIds) return false;
  const values = new Float32Array(new WebAssembly.Memory({ initial: 1 }).buffer, 16, 16);
  const { dataId } = upload(backend, values, [16]);
  values.fill(1);
  const copied = (backend.readSync(dataId) as Float32Array).every((value) => value === 0);
  backend.disposeData(dataId, true);
  return copied;
}

const hosts = new HostRoiAlignOf<TensorflowBackend>((backend) => {
  const direct = copiesUnaligned(backend);
  return {
    has: (dataId) => backend.tensorMap.has(dataId),
    read: (tensor) => backend.readSync(tensor.dataId) as Float32Array,
    make: (values, shape) =>
      direct
        ? upload(backend, values, shape)
        : { dataId: backend.write(values.slice(), shape, 'float32'), shape, dtype: 'float32' },
  };
});

registerRoiAlign<TensorflowBackend>('tensorflow', {
  forward: (backend, maps, rois, attributes) => hosts.of(backend).forward(maps, rois, attributes),
  backward: (backend, dy, rois, attributes) => hosts.of(backend).backward(dy, rois, attributes),
});
