import type * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { type KernelThreads, STRIP_BYTES, threadsOf } from './kernel_threads.js';
import { addressOf, wasmHeap, type WasmBackend, type WasmHeap } from './wasm_heap.js';
import { type ConvInfo, strips, suitsWinograd, tilesOf } from './wasm_winograd.js';

/** Tiles or rows that are rearranged and then summed at a time, so that they stay in the cache. */
const CAPACITY = 256;

/** With fewer rows a product of its own costs more than its arithmetic. */
const LEAST_ROWS = 32;

/** Shares of a single matrix's columns that threads take. */
const SHARES = 16;

/** Numbers of a tile of 4x4. */
const TILE = 16;

interface Job {
  /** [rows, channels], or a map. */
  readonly x: tf.TensorInfo;
  /** [rows, outs], or the gradient of a convolution of the map. */
  readonly dy: tf.TensorInfo;
  readonly channels: number;
  readonly outs: number;
  /** Of the gradient. */
  readonly outShape: number[];
  /** Rows, or tiles of the map's convolution. */
  readonly places: number;
  /** Of a 3x3 convolution; of rows there is none. */
  readonly info?: ConvInfo;
}

/**
 * The gradient of a 3x3 filter of stride 1 by Winograd's F(2x2, 3x3) transposed, 2.25 times fewer multiplications than by the definition.
 * @param x  [N, H, W, C]
 * @param dy [N, H', W', K]
 * @returns  [3, 3, C, K]; undefined where it is to be had otherwise: another kind of convolution, a small one, or a heap that our kernels do not reach
 */
export function winogradFilterGradient(
  backend: WasmBackend,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  info: ConvInfo,
): tf.TensorInfo | undefined {
  if (!suitsWinograd(info, 1)) return undefined;
  const { inChannels: channels, outChannels: outs } = info;
  return run(backend, { x, dy, channels, outs, outShape: [3, 3, channels, outs], places: tilesOf(info), info });
}

/**
 * xᵀ y: the gradient of a matrix, or of a 1x1 filter.
 * @param x    [rows, channels] under any shape
 * @param y    [rows, outs] under any shape
 * @returns    [channels, outs] as `outShape`; undefined as above
 */
export function transposedProduct(
  backend: WasmBackend,
  { x, dy, channels, outs, outShape, places }: Omit<Job, 'info'>,
): tf.TensorInfo | undefined {
  if (channels % 4 !== 0 || outs % 8 !== 0 || channels === 0 || outs === 0 || places < LEAST_ROWS) return undefined;
  return run(backend, { x, dy, channels, outs, outShape, places });
}

function run(backend: WasmBackend, job: Job): tf.TensorInfo | undefined {
  if (job.x.dtype !== 'float32' || job.dy.dtype !== 'float32') return undefined;
  const threads = threadsOf(backend);
  // A tile's sums are 16 for its 36 multiplications.
  const count = threads?.count((job.info ? TILE : 1) * job.places * job.channels * job.outs) ?? 1;
  const shared = threads && count > 1 && onThreads(threads, backend, job);
  if (shared) return shared;
  const heap = wasmHeap(backend);
  return heap && onOneThread(heap, backend, job);
}

/** Stretches of so many places as are summed at a time: first, number. */
function stretches(places: number): [number, number][] {
  return Array.from({ length: Math.ceil(places / CAPACITY) }, (_, i) => [
    i * CAPACITY,
    Math.min(CAPACITY, places - i * CAPACITY),
  ]);
}

/** Bytes of what lies between the maps and the gradient. */
function bytesBetween({ channels, outs, info }: Job) {
  const planes = info ? TILE : 1;
  return {
    v: 4 * planes * CAPACITY * channels,
    m: 4 * planes * CAPACITY * outs,
    sums: 4 * planes * channels * outs,
    patch: 4 * TILE * channels,
  };
}

/** What threads have in their memory at a time: where it is in the maps, in numbers, and how to rearrange it. */
interface Strip {
  readonly from: number;
  readonly to: number;
  readonly outFrom: number;
  readonly outTo: number;
  readonly places: number;
  readonly height: number;
  readonly outHeight: number;
  readonly padTop: number;
}

function stripsOf({ channels, outs, places, info }: Job): Strip[] {
  if (info) return strips(info).map((strip) => ({ ...strip, places: tilesOf(info, strip) }));
  const rows = Math.max(CAPACITY, CAPACITY * Math.floor(STRIP_BYTES / (4 * CAPACITY * (channels + outs))));
  return Array.from({ length: Math.ceil(places / rows) }, (_, i) => {
    const [first, end] = [i * rows, Math.min(places, (i + 1) * rows)];
    const range = { from: first * channels, to: end * channels, outFrom: first * outs, outTo: end * outs };
    return { ...range, places: end - first, height: 0, outHeight: 0, padTop: 0 };
  });
}

/** In place, on the heap where the tensors lie; strip by strip, so that numbers are summed in the order of {@link onThreads}. */
function onOneThread(heap: WasmHeap, backend: WasmBackend, job: Job): tf.TensorInfo {
  const { x, dy, channels, outs, info } = job;
  const bytes = bytesBetween(job);
  // A matrix is summed where it is to lie.
  const v = heap.allocate(bytes.v + bytes.m + bytes.patch + (info ? bytes.sums : 0));
  if (!v) throw new BackendError('The wasm backend has no memory left for a gradient. Use fewer or smaller images.');
  const m = v + bytes.v;
  const patch = m + bytes.m;
  const sums = patch + bytes.patch;
  try {
    const out = backend.makeOutput(job.outShape, 'float32');
    const to = addressOf(backend, out);
    stripsOf(job).forEach(({ from, outFrom, places, height, outHeight, padTop }, i) => {
      const [map, dMap] = [addressOf(backend, x) + 4 * from, addressOf(backend, dy) + 4 * outFrom];
      for (const [start, count] of stretches(places)) {
        const end = start + count;
        if (info) {
          const { inWidth, outWidth, padInfo } = info;
          // prettier-ignore
          heap.kernels.gradientTiles(
            map, dMap, v, m, height, inWidth, channels, outHeight, outWidth, outs, padTop, padInfo.left, start, start, end, CAPACITY, patch,
          );
        } else heap.kernels.gradientRows(map, dMap, v, m, channels, outs, start, start, end, CAPACITY);
        const add = Number(i > 0 || start > 0);
        heap.kernels.gradientSums(v, m, info ? sums : to, channels, outs, count, CAPACITY, add, 1, 0, info ? TILE : 1);
      }
    });
    if (info) heap.kernels.gradientFilter(sums, to, channels, outs);
    return out;
  } finally {
    heap.release(v);
  }
}

/** Copied strip by strip into the memory of the threads, and the gradient out of it; undefined where that cannot grow so far. */
function onThreads(threads: KernelThreads, backend: WasmBackend, job: Job): tf.TensorInfo | undefined {
  const { x, dy, channels, outs, info } = job;
  const parts = stripsOf(job);
  const most = (length: (strip: Strip) => number): number => 4 * Math.max(...parts.map(length));
  const bytes = bytesBetween(job);
  const shared = threads.reserve({
    ...bytes,
    patch: threads.most * bytes.patch,
    filter: info ? 36 * channels * outs : 0,
    x: most(({ from, to }) => to - from),
    dy: most(({ outFrom, outTo }) => outTo - outFrom),
  });
  if (!shared) return undefined;
  const { memory, kernels, at, place } = shared;
  const out = backend.makeOutput(job.outShape, 'float32');
  const floats = (tensor: tf.TensorInfo): Float32Array => backend.typedArrayFromHeap(tensor) as Float32Array;
  const [input, gradient] = [floats(x), floats(dy)];
  const [planes, perPlane] = info ? [TILE, 1] : [1, Math.min(SHARES, outs / 8)];
  parts.forEach(({ from, to, outFrom, outTo, places, height, outHeight, padTop }, i) => {
    place(at.x, input.subarray(from, to));
    place(at.dy, gradient.subarray(outFrom, outTo));
    for (const [start, count] of stretches(places)) {
      if (info) {
        const { inWidth, outWidth, padInfo } = info;
        // prettier-ignore
        kernels.gradientTilesOnThreads(
          at.x, at.dy, at.v, at.m, height, inWidth, channels, outHeight, outWidth, outs, padTop, padInfo.left, start, count, CAPACITY, at.patch,
        );
      } else kernels.gradientRowsOnThreads(at.x, at.dy, at.v, at.m, channels, outs, start, count, CAPACITY);
      const add = Number(i > 0 || start > 0);
      kernels.gradientSumsOnThreads(at.v, at.m, at.sums, channels, outs, count, CAPACITY, add, planes, perPlane);
    }
  });
  if (info) kernels.gradientFilter(at.sums, at.filter, channels, outs);
  const size = job.outShape.reduce((a, b) => a * b, 1);
  floats(out).set(new Float32Array(memory.buffer, info ? at.filter : at.sums, size));
  return out;
}
