import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { threadsOf, WORTH_SHARING } from '../kernels/kernel_threads.js';
import { wasmHeap, type WasmBackend, type WasmHeap } from '../kernels/wasm_heap.js';
import { winogradConv2d } from '../kernels/wasm_winograd.js';
import { GROUPED_CONV2D, type GroupedConvAttributes } from './kernel_names.js';

/** Outputs of a group that the direct kernel computes at once. */
const LANES = 4;

/**
 * Whether the wasm backend's kernels can take this convolution.
 * @param filterShape [kh, kw, C / groups, K]
 * @param gradients   whether they shall take its gradients too
 */
export function suitsWasm([, , inputs, outs]: readonly number[], groups: number, gradients: boolean): boolean {
  if ((outs / groups) % LANES !== 0 || (gradients && inputs % LANES !== 0)) return false;
  return wasmHeap(tf.backend() as unknown as WasmBackend) !== undefined;
}

/** Below so many places of the output, weights are read once and little is computed with them: groups that are so few save nothing. */
const FEW_PLACES = 9;
const FEW_GROUPS = 8;

/**
 * Whether one dense convolution takes less time than our kernels although it multiplies by zeros: in inference with fewer than {@link FEW_GROUPS} groups and
 * {@link FEW_PLACES} outputs, and for large maps and 1x1 filters at stride 1, which is a product of matrices on as many threads, with no more groups than
 * threads.
 * @param places outputs of a channel, of all images
 */
export function isDenseFasterOnWasm(
  [height, width, inputs, outs]: readonly number[],
  groups: number,
  stride: number,
  places: number,
  gradients: boolean,
): boolean {
  // In training the filter's gradient decides, which is the smaller by the number of groups.
  if (!gradients && groups < FEW_GROUPS && places < FEW_PLACES) return true;
  const threads = threadsOf(tf.backend())?.most ?? 1;
  const isProduct = height === 1 && width === 1 && stride === 1;
  return isProduct && groups <= threads && places * inputs * groups * outs >= WORTH_SHARING;
}

/** @throws BackendError where there is no memory */
function allocate(heap: WasmHeap, bytes: number): number {
  const block = heap.allocate(bytes);
  if (block) return block;
  throw new BackendError('The wasm backend has no memory left for a grouped convolution. Use fewer or smaller images.');
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
  const block = allocate(heap, 4 * size);
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
    const filterSize = filter.shape.reduce((a, b) => a * b, 1);
    const scratch = allocate(heap, heap.kernels.groupedConv2dScratch(images, ...outShape, filterSize));
    let block = 0;
    try {
      if (!inside) block = padded(heap, backend, x, padding, reach);
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
        scratch,
      );
    } finally {
      heap.release(scratch);
      if (block) heap.release(block);
    }
    return out;
  },
});
