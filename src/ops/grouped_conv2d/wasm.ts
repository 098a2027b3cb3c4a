import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { addressOf, wasmHeap, type WasmBackend, type WasmHeap } from '../kernels/wasm_heap.js';
import { wasmProduct } from '../kernels/wasm_products.js';
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

/** With fewer outputs of a channel than this, of all images, little is computed with each weight: what counts is how they are read. */
const FEW_PLACES = 16;

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

/** 1x1 filters at stride 1: a product of matrices, group by group; undefined elsewhere, and for small ones. */
function pointwise(
  backend: WasmBackend,
  x: tf.TensorInfo,
  filter: tf.TensorInfo,
  { groups, stride, padding: [top, left], outShape }: GroupedConvAttributes,
): tf.TensorInfo | undefined {
  const [images, height, width, channels] = x.shape;
  const [kernelHeight, kernelWidth, , outs] = filter.shape;
  if (kernelHeight !== 1 || kernelWidth !== 1 || stride !== 1 || top !== 0 || left !== 0) return undefined;
  if (outShape[0] !== height || outShape[1] !== width) return undefined;
  const rows = images * height * width;
  return wasmProduct(backend, { x, w: filter, relu: false, rows, channels, outs, groups, outShape: [images, ...outShape, outs] });
}

tf.registerKernel({
  kernelName: GROUPED_CONV2D,
  backendName: 'wasm',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WasmBackend;
    const { x, filter } = inputs as Record<'x' | 'filter', tf.TensorInfo>;
    const attributes = attrs as unknown as GroupedConvAttributes;
    const { groups, stride, padding, outShape } = attributes;
    const heap = wasmHeap(backend)!;
    const [images, height, width, channels] = x.shape;
    const [kernelHeight, kernelWidth, , outs] = filter.shape;
    const large = winograd(backend, x, filter, attributes) ?? pointwise(backend, x, filter, attributes);
    if (large) return large;
    const out = backend.makeOutput([images, ...outShape, outs], 'float32');
    if (images * outShape[0] * outShape[1] < FEW_PLACES) {
      heap.kernels.groupedConv2dFew(
        addressOf(backend, x),
        addressOf(backend, filter),
        addressOf(backend, out),
        images,
        height,
        width,
        channels,
        kernelHeight,
        kernelWidth,
        ...outShape,
        outs,
        groups,
        stride,
        ...padding,
      );
      return out;
    }
    const reach: [number, number] = [(outShape[0] - 1) * stride + kernelHeight, (outShape[1] - 1) * stride + kernelWidth];
    const inside = padding[0] === 0 && padding[1] === 0 && reach[0] <= height && reach[1] <= width;
    const [mapHeight, mapWidth] = inside ? [height, width] : reach;
    const filterSize = filter.shape.reduce((a, b) => a * b, 1);
    const scratch = allocate(heap, heap.kernels.groupedConv2dScratch(...outShape, filterSize));
    let block = 0;
    try {
      if (!inside) block = padded(heap, backend, x, padding, reach);
      heap.kernels.groupedConv2d(
        block || addressOf(backend, x),
        addressOf(backend, filter),
        addressOf(backend, out),
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
