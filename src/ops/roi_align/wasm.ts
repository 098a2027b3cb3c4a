import type { DataId, TensorInfo } from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { addressOf, wasmHeap, type WasmBackend } from '../kernels/wasm_heap.js';
import { regionGeometry } from './geometry.js';
import { HostRoiAlignOf } from './host.js';
import { registerRoiAlign, type RoiAlignAttributes } from './kernel_names.js';
import { backwardKernel, recordBytes, type RoiAlignKernel, scratchBytes, writeRecords } from './records.js';

/** For builds of the backend that do not show their memory. */
const copying = new HostRoiAlignOf<WasmBackend>((backend) => ({
  has: (dataId) => backend.dataIdMap.has(dataId),
  read: (tensor) => backend.typedArrayFromHeap(tensor) as Float32Array,
  make: (values, shape) => backend.makeOutput(shape, 'float32', undefined, values),
}));

/** Runs a kernel on the backend's own heap, without copies. */
function runInPlace(
  backend: WasmBackend,
  kernel: RoiAlignKernel,
  rois: TensorInfo,
  { outputSize, shapes, levels, ...options }: RoiAlignAttributes,
  maps: DataId[],
  pooled: DataId,
): void {
  if (levels.length === 0 || shapes[0][3] === 0) return;
  const heap = wasmHeap(backend)!;
  const regions = regionGeometry(backend.typedArrayFromHeap(rois) as Float32Array, levels, shapes, { outputSize, ...options });
  const scratchLength = Math.ceil(scratchBytes(regions, shapes, outputSize) / 16) * 16;
  const block = heap.allocate(scratchLength + recordBytes(regions.count));
  if (!block) throw new BackendError('The wasm backend has no memory left for RoIAlign. Use fewer or smaller images.');
  try {
    const address = (dataId: DataId): number => addressOf(backend, { dataId });
    writeRecords(
      kernel,
      heap.memory.buffer,
      block + scratchLength,
      regions,
      maps.map(address),
      shapes,
      address(pooled),
      outputSize,
    );
    heap.kernels[kernel](block + scratchLength, regions.count, ...outputSize, shapes[0][3], block);
  } finally {
    heap.release(block);
  }
}

registerRoiAlign<WasmBackend>('wasm', {
  forward(backend, maps, rois, attributes) {
    if (!wasmHeap(backend)) return copying.of(backend).forward(maps, rois, attributes);
    const { outputSize, shapes, levels } = attributes;
    const out = backend.makeOutput([levels.length, ...outputSize, shapes[0][3]], 'float32');
    runInPlace(
      backend,
      'roiAlignForward',
      rois,
      attributes,
      maps.map((map) => map.dataId),
      out.dataId,
    );
    return out;
  },
  backward(backend, dy, rois, attributes) {
    if (!wasmHeap(backend)) return copying.of(backend).backward(dy, rois, attributes);
    const gradients = attributes.shapes.map((shape) => backend.makeOutput(shape, 'float32'));
    for (const gradient of gradients) backend.typedArrayFromHeap(gradient).fill(0);
    runInPlace(
      backend,
      backwardKernel(attributes.samplingRatio),
      rois,
      attributes,
      gradients.map((gradient) => gradient.dataId),
      dy.dataId,
    );
    return gradients;
  },
});
