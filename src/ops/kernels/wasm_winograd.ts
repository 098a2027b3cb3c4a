import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { evenBlock, type KernelThreads, STRIP_BYTES, threadsOf } from './kernel_threads.js';
import { addressOf, wasmHeap, type WasmBackend, type WasmHeap } from './wasm_heap.js';

export type ConvInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/** The inputs of {@link winogradConv2d}. */
export interface WinogradInputs {
  readonly x: tf.TensorInfo;
  readonly filter: tf.TensorInfo;
  readonly bias?: tf.TensorInfo;
  readonly relu: boolean;
  /** Equal parts of the channels, each with filters of its own: the filter is [3, 3, C / groups, K]. */
  readonly groups: number;
}

/** Tiles that are computed at once. */
const BLOCK = 32;

/** Fewer tiles than that take as long as by the definition: to transform the filter takes as long for one as for a thousand. */
const LEAST_TILES = 48;

const tilesAlong = (length: number): number => Math.ceil(length / 2);

/** Tiles of 2x2 outputs of a convolution, or of a part of it. */
export function tilesOf({ batchSize, outHeight, outWidth }: ConvInfo, part?: { images: number; outHeight: number }): number {
  return (part?.images ?? batchSize) * tilesAlong(part?.outHeight ?? outHeight) * tilesAlong(outWidth);
}

/**
 * A 3x3 convolution of stride 1 with bias and rectifier by Winograd's F(2x2, 3x3) (Lavin and Gray 2016), 2.25 times fewer multiplications in float32. As on
 * `tensorflow`, what is not finite may spread to all outputs of the tiles of 2x2 that see it, and an infinity may become NaN there.
 *
 * @returns the map, or undefined where tfjs's own kernel is to be taken: another kind of convolution, a small one, or a heap that our kernels do not reach
 */
export function winogradConv2d(backend: WasmBackend, inputs: WinogradInputs, info: ConvInfo): tf.TensorInfo | undefined {
  const { x, filter } = inputs;
  if (!suitsWinograd(info, inputs.groups) || x.dtype !== 'float32' || filter.dtype !== 'float32') return undefined;
  const threads = threadsOf(backend);
  const work = (9 * info.inChannels * info.outChannels * info.batchSize * info.outHeight * info.outWidth) / inputs.groups;
  const count = threads?.count(work) ?? 1;
  const shared = threads && count > 1 && onThreads(threads, count, backend, inputs, info);
  if (shared) return shared;
  const heap = wasmHeap(backend);
  return heap && onOneThread(heap, backend, inputs, info);
}

/** Whether a convolution is of the kind that our kernels do, and large enough for them. */
export function suitsWinograd(info: ConvInfo, groups: number): boolean {
  const { filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth } = info;
  const { inChannels, outChannels } = info;
  return (
    filterHeight === 3 &&
    filterWidth === 3 &&
    strideHeight === 1 &&
    strideWidth === 1 &&
    dilationHeight === 1 &&
    dilationWidth === 1 &&
    (inChannels / groups) % 4 === 0 &&
    (outChannels / groups) % 8 === 0 &&
    tilesOf(info) >= LEAST_TILES
  );
}

/** In place, on the heap where the tensors lie. */
function onOneThread(heap: WasmHeap, backend: WasmBackend, inputs: WinogradInputs, info: ConvInfo): tf.TensorInfo {
  const { x, filter, bias, relu, groups } = inputs;
  const { inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info;
  const { kernels } = heap;
  const [channels, outs] = [inChannels / groups, outChannels / groups];
  const filterBytes = 64 * channels * outs;
  const u = heap.allocate(filterBytes + kernels.winogradScratch(channels, outs, BLOCK));
  if (!u) throw new BackendError('The wasm backend has no memory left for a convolution. Use fewer or smaller images.');
  try {
    const out = backend.makeOutput([...info.outShape], 'float32');
    const tiles = tilesOf(info);
    for (let group = 0; group < groups; group++) {
      const [from, to] = [4 * group * channels, 4 * group * outs];
      kernels.winogradFilter(addressOf(backend, filter) + to, u, channels, outs, outChannels, 0, outs / 8);
      kernels.winogradTiles(
        addressOf(backend, x) + from,
        u,
        bias ? addressOf(backend, bias) + to : 0,
        addressOf(backend, out) + to,
        inHeight,
        inWidth,
        channels,
        outHeight,
        outWidth,
        outs,
        padInfo.top,
        padInfo.left,
        Number(relu),
        inChannels,
        outChannels,
        0,
        tiles,
        BLOCK,
        u + filterBytes,
      );
    }
    return out;
  } finally {
    heap.release(u);
  }
}

/** Some whole images, or some rows of one: what is in the shared memory at a time. */
interface Strip {
  /** Where its inputs and outputs are in the maps, in numbers. */
  readonly from: number;
  readonly to: number;
  readonly outFrom: number;
  readonly outTo: number;
  readonly images: number;
  /** Rows of an image of it, in and out, and the zeros above. */
  readonly height: number;
  readonly outHeight: number;
  readonly padTop: number;
}

/** Cuts a convolution up between tiles, so that each is computed from the same numbers as without cuts. */
export function strips(info: ConvInfo): Strip[] {
  const { batchSize, inHeight, outHeight, padInfo } = info;
  const row = info.inWidth * info.inChannels;
  const outRow = info.outWidth * info.outChannels;
  const found: Strip[] = [];
  const images = Math.floor(STRIP_BYTES / (4 * (inHeight * row + outHeight * outRow)));
  if (images > 0) {
    for (let n = 0; n < batchSize; n += images) {
      const end = Math.min(batchSize, n + images);
      const [from, to] = [n * inHeight * row, end * inHeight * row];
      const [outFrom, outTo] = [n * outHeight * outRow, end * outHeight * outRow];
      found.push({ from, to, outFrom, outTo, images: end - n, height: inHeight, outHeight, padTop: padInfo.top });
    }
    return found;
  }
  const rows = 2 * Math.max(1, Math.floor(STRIP_BYTES / (8 * (row + outRow))));
  for (let n = 0; n < batchSize; n++) {
    for (let first = 0; first < outHeight; first += rows) {
      const end = Math.min(outHeight, first + rows);
      const inside = (y: number): number => Math.min(inHeight, Math.max(0, y - padInfo.top));
      // A tile sees one row more than its outputs' above, and one below.
      const [top, bottom] = [inside(first), inside(2 * tilesAlong(end) + 2)];
      found.push({
        from: (n * inHeight + top) * row,
        to: (n * inHeight + bottom) * row,
        outFrom: (n * outHeight + first) * outRow,
        outTo: (n * outHeight + end) * outRow,
        images: 1,
        height: bottom - top,
        outHeight: end - first,
        padTop: padInfo.top - first + top,
      });
    }
  }
  return found;
}

/** Copied strip by strip into the memory of the threads and out of it; undefined where that cannot grow so far. */
function onThreads(
  threads: KernelThreads,
  count: number,
  backend: WasmBackend,
  { x, filter, bias, relu, groups }: WinogradInputs,
  info: ConvInfo,
): tf.TensorInfo | undefined {
  const { inWidth, inChannels, outWidth, outChannels, padInfo } = info;
  const parts = strips(info);
  const most = (length: (strip: Strip) => number): number => 4 * Math.max(...parts.map(length));
  const [channels, outs] = [inChannels / groups, outChannels / groups];
  const filterBytes = 64 * channels * outs;
  const scratchBytes = 4 * (16 * BLOCK * (channels + outs) + 16 * channels);
  const shared = threads.reserve({
    filter: 36 * channels * outChannels,
    u: groups * filterBytes,
    bias: 4 * outChannels,
    x: most(({ from, to }) => to - from),
    y: most(({ outFrom, outTo }) => outTo - outFrom),
    scratch: threads.most * scratchBytes,
  });
  if (!shared) return undefined;
  const { memory, kernels, at, place } = shared;
  const out = backend.makeOutput([...info.outShape], 'float32');
  const floats = (tensor: tf.TensorInfo): Float32Array => backend.typedArrayFromHeap(tensor) as Float32Array;
  const [input, output] = [floats(x), floats(out)];
  place(at.filter, floats(filter));
  if (bias) place(at.bias, floats(bias));
  for (let group = 0; group < groups; group++)
    kernels.filterOnThreads(at.filter + 4 * group * outs, at.u + group * filterBytes, channels, outs, outChannels);
  for (const { from, to, outFrom, outTo, images, height, outHeight, padTop } of parts) {
    place(at.x, input.subarray(from, to));
    const tiles = tilesOf(info, { images, outHeight });
    for (let group = 0; group < groups; group++) {
      const [first, firstOut] = [4 * group * channels, 4 * group * outs];
      kernels.tilesOnThreads(
        at.x + first,
        at.u + group * filterBytes,
        bias ? at.bias + firstOut : 0,
        at.y + firstOut,
        height,
        inWidth,
        channels,
        outHeight,
        outWidth,
        outs,
        padTop,
        padInfo.left,
        Number(relu),
        inChannels,
        outChannels,
        tiles,
        evenBlock(tiles, count, BLOCK),
        at.scratch,
        scratchBytes,
      );
    }
    output.set(new Float32Array(memory.buffer, at.y, outTo - outFrom), outFrom);
  }
  return out;
}
