import type { backend_util, DataId, TensorInfo } from '@tensorflow/tfjs-core';
import { HostRoiAlignOf } from './host.js';
import { registerRoiAlign } from './kernel_names.js';

/** What is used of the cpu backend. */
interface CpuBackend {
  data: { has(dataId: DataId): boolean; get(dataId: DataId): { values?: backend_util.BackendValues } };
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): TensorInfo;
}

const hosts = new HostRoiAlignOf<CpuBackend>((backend) => ({
  has: (dataId) => backend.data.has(dataId),
  read: (tensor) => backend.data.get(tensor.dataId).values as Float32Array,
  make: (values, shape) => backend.makeTensorInfo(shape, 'float32', values.slice()),
}));

registerRoiAlign<CpuBackend>('cpu', {
  forward: (backend, maps, rois, attributes) => hosts.of(backend).forward(maps, rois, attributes),
  backward: (backend, dy, rois, attributes) => hosts.of(backend).backward(dy, rois, attributes),
});
