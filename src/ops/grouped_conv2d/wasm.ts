import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { wasmHeap, type WasmBackend, type WasmHeap } from '../kernels/wasm_heap.js';
import { winogradConv2d } from '../kernels/wasm_winograd.js';
import { GROUPED_CONV2D, type GroupedConvAttributes } from './kernel_names.js';

/** Outputs of a group that the direct kernel computes at once. */
const LANES = 4;

/**
 * Whether the wasm backend's kernels take this convolution.
 * @param filterShape [kh, kw, C / groups, K]
 * @param gradients   whether they shall take its gradients too
 */
export function suitsWasm([, , inputs, outs]: readonly number[], groups: number, gradients: boolean): boolean {
  if ((outs / groups) % LANES !== 0 || (gradients && inputs % LANES !== 0)) return false;
  return wasmHeap(tf.backend() as unknown as WasmBackend) !== undefined;
}

/** Copies a map with zeros around it; the address is the caller's to release. */
function padded(
  heap: WasmHeap,
  backend: WasmBackend,
  x: tf.TensorInfo,
  [top, left]: readonly [number, number],
  [height, width]: [number, number],
): number {
  const [images, rows, columns, channels] = x.shape;
  const size = images * height * width * channels;
  const block = heap.allocate(4 * size);
  if (!block)
    throw new BackendError('The wasm backend has no memory left for a grouped convolution. Use fewer or smaller images.');
  const values = backend.typedArrayFromHeap(x) as Float32Array;
  const map = new Float32Array(heap.memory.buffer, block, size).fill(0);
  // A 'valid' convolution with a stride may leave the last rows and columns out.
  const [usedRows, used] = [Math.min(rows, height - top), Math.min(columns, width - left) * channels];
  for (let n = 0; n < images; n++) {
    for (let y = 0; y < usedRows; y++) {
      const from = (n * rows + y) * columns * channels;
      map.set(values.subarray(from, from + used), ((n * height + y + top) * width + left) * channels);
    }
  }
  return block;
}

/** 3x3 filters at stride 1 on a map that is large enough, a group after the other; undefined elsewhere. */
function winograd(
  backend: WasmBackend,
  x: tf.TensorInfo,
  filter: tf.TensorInfo,
  { groups, stride, padding: [top, left], outShape: [outHeight, outWidth] }: GroupedConvAttributes,
): tf.TensorInfo | undefined {
  const [kernelHeight, kernelWidth, perGroup, outs] = filter.shape;
  if (kernelHeight !== 3 || kernelWidth !== 3 || stride !== 1) return undefined;
  const shape = x.shape as [number, number, number, number];
  const pad: [number, number][] = [
    [0, 0],
    [top, outHeight + 2 - shape[1] - top],
    [left, outWidth + 2 - shape[2] - left],
    [0, 0],
  ];
  const explicit = pad as Parameters<typeof tf.backend_util.computeConv2DInfo>[4];
  const info = tf.backend_util.computeConv2DInfo(shape, [3, 3, groups * perGroup, outs], 1, 1, explicit);
  return winogradConv2d(backend, { x, filter, relu: false, groups }, info);
}

tf.registerKernel({
  kernelName: GROUPED_CONV2D,
  backendName: 'wasm',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WasmBackend;
    const { x, filter } = inputs as Record<'x' | 'filter', tf.TensorInfo>;
    const { groups, stride, padding, outShape } = attrs as unknown as GroupedConvAttributes;
    const heap = wasmHeap(backend)!;
    const [images, height, width, channels] = x.shape;
    const [kernelHeight, kernelWidth, , outs] = filter.shape;
    const large = winograd(backend, x, filter, attrs as unknown as GroupedConvAttributes);
    if (large) return large;
    const out = backend.makeOutput([images, ...outShape, outs], 'float32');
    const reach: [number, number] = [(outShape[0] - 1) * stride + kernelHeight, (outShape[1] - 1) * stride + kernelWidth];
    const inside = padding[0] === 0 && padding[1] === 0 && reach[0] <= height && reach[1] <= width;
    const [mapHeight, mapWidth] = inside ? [height, width] : reach;
    const address = ({ dataId }: tf.TensorInfo): number => backend.dataIdMap.get(dataId).memoryOffset;
    const block = inside ? 0 : padded(heap, backend, x, padding, reach);
    try {
      heap.kernels.groupedConv2d(
        block || address(x),
        address(filter),
        address(out),
        images,
        mapHeight,
        mapWidth,
        channels,
        kernelHeight,
        kernelWidth,
        ...outShape,
        outs,
        groups,
        stride,
      );
    } finally {
      if (block) heap.release(block);
    }
    return out;
  },
});
