import type * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { evenBlock, type KernelThreads, STRIP_BYTES, threadsOf } from './kernel_threads.js';
import { addressOf, wasmHeap, type WasmBackend, type WasmHeap } from './wasm_heap.js';

/** x w + bias, rectified or not. */
export interface Product {
  /** [rows, channels] under any shape. */
  readonly x: tf.TensorInfo;
  /** [channels / groups, outs] under any shape. */
  readonly w: tf.TensorInfo;
  /** [outs] */
  readonly bias?: tf.TensorInfo;
  readonly relu: boolean;
  readonly rows: number;
  readonly channels: number;
  readonly outs: number;
  /** Of columns of x and of the product: each group of x is multiplied by its own columns of w. One unless given. */
  readonly groups?: number;
  readonly outShape: number[];
}

/** Channels that are summed at a time, so that a panel of weights stays in the innermost cache. */
const CHUNK = 512;

/** Rows that are computed at a time. */
const BLOCK = 64;

/** With fewer rows the weights' rearrangement counts. */
const LEAST_ROWS = 32;

/** Whether our kernel takes a product of these sizes. @param outs of a group */
export function suitsProduct(rows: number, channels: number, outs: number): boolean {
  return outs % 8 === 0 && rows >= LEAST_ROWS && channels > 0;
}

/**
 * A product of matrices by our own kernel, on several threads where it is large.
 * @returns undefined where tfjs's own kernel is to be taken: for small matrices, other numbers of columns, or a heap that ours does not reach
 */
export function wasmProduct(backend: WasmBackend, product: Product): tf.TensorInfo | undefined {
  const { x, w, rows, channels, outs, groups = 1 } = product;
  if ((outs / groups) % 8 !== 0 || rows < LEAST_ROWS || channels === 0 || x.dtype !== 'float32' || w.dtype !== 'float32')
    return undefined;
  const threads = threadsOf(backend);
  const count = threads?.count((rows * channels * outs) / groups) ?? 1;
  const shared = threads && count > 1 && onThreads(threads, count, backend, product);
  if (shared) return shared;
  const heap = wasmHeap(backend);
  return heap && onOneThread(heap, backend, product);
}

/** The chunks of a group's channels: first and number. */
function chunks(channels: number): [number, number][] {
  return Array.from({ length: Math.ceil(channels / CHUNK) }, (_, i) => [i * CHUNK, Math.min(CHUNK, channels - i * CHUNK)]);
}

/** In place, on the heap where the tensors lie. */
function onOneThread(heap: WasmHeap, backend: WasmBackend, product: Product): tf.TensorInfo {
  const { x, w, bias, relu, rows, channels, outs, groups = 1 } = product;
  const parts = chunks(channels / groups);
  const u = heap.allocate(4 * parts[0][1] * outs);
  if (!u) throw new BackendError('The wasm backend has no memory left for a product. Use fewer or smaller images.');
  try {
    const out = backend.makeOutput(product.outShape, 'float32');
    const [from, weights, shift, to] = [
      addressOf(backend, x),
      addressOf(backend, w),
      bias ? addressOf(backend, bias) : 0,
      addressOf(backend, out),
    ];
    for (const [first, length] of parts) {
      heap.kernels.packPanels(weights, u, outs, first, length, 0, outs / 8);
      for (let row = 0; row < rows; row += BLOCK) {
        const end = Math.min(rows, row + BLOCK);
        heap.kernels.products(from, u, shift, to, channels, outs, groups, first, length, Number(relu), row, end);
      }
    }
    return out;
  } finally {
    heap.release(u);
  }
}

/** Copied strip by strip into the memory of the threads and out of it; undefined where that cannot grow so far. */
function onThreads(
  threads: KernelThreads,
  count: number,
  backend: WasmBackend,
  { x, w, bias, relu, rows, channels, outs, groups = 1, outShape }: Product,
): tf.TensorInfo | undefined {
  const strip = Math.min(rows, 4 * Math.ceil(STRIP_BYTES / (16 * (channels + outs))));
  const parts = chunks(channels / groups);
  const chunk = 4 * parts[0][1] * outs;
  const bytes = { w: chunk, u: chunk, bias: 4 * outs, x: 4 * strip * channels, y: 4 * strip * outs };
  const shared = threads.reserve(bytes);
  if (!shared) return undefined;
  const { memory, kernels, at, place } = shared;
  const out = backend.makeOutput(outShape, 'float32');
  const floats = (tensor: tf.TensorInfo): Float32Array => backend.typedArrayFromHeap(tensor) as Float32Array;
  const [input, weights, output] = [floats(x), floats(w), floats(out)];
  if (bias) place(at.bias, floats(bias));
  for (let row = 0; row < rows; row += strip) {
    const end = Math.min(rows, row + strip);
    place(at.x, input.subarray(row * channels, end * channels));
    for (const [first, length] of parts) {
      if (row === 0 || parts.length > 1) {
        place(at.w, weights.subarray(first * outs, (first + length) * outs));
        kernels.packOnThreads(at.w, at.u, outs, 0, length);
      }
      const shift = bias ? at.bias : 0;
      const block = evenBlock(end - row, count, BLOCK);
      kernels.productsOnThreads(at.x, at.u, shift, at.y, channels, outs, groups, first, length, Number(relu), end - row, block);
    }
    output.set(new Float32Array(memory.buffer, at.y, (end - row) * outs), row * outs);
  }
  return out;
}
