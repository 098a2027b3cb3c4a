import type { backend_util, DataId } from '@tensorflow/tfjs-core';
import { HostRoiAlignOf } from './host.js';
import { registerRoiAlign } from './kernel_names.js';

/** What is used of the TensorFlow backend (tfjs-node, tfjs-node-gpu). */
interface TensorflowBackend {
  tensorMap: { has(dataId: DataId): boolean };
  readSync(dataId: DataId): backend_util.BackendValues;
  write(values: backend_util.BackendValues, shape: number[], dtype: 'float32'): DataId;
}

const hosts = new HostRoiAlignOf<TensorflowBackend>((backend) => ({
  has: (dataId) => backend.tensorMap.has(dataId),
  read: (tensor) => backend.readSync(tensor.dataId) as Float32Array,
  make: (values, shape) => ({ dataId: backend.write(values, shape, 'float32'), shape, dtype: 'float32' }),
}));

registerRoiAlign<TensorflowBackend>('tensorflow', {
  forward: (backend, maps, rois, attributes) => hosts.of(backend).forward(maps, rois, attributes),
  backward: (backend, dy, rois, attributes) => hosts.of(backend).backward(dy, rois, attributes),
});
