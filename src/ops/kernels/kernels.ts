import { BackendError } from '../../errors.js';
import { KERNELS_BASE64 } from './binary.js';

/** The compiled host kernels (assembly/index.ts) on one WebAssembly memory. All pointers are byte offsets into that memory. */
export interface Kernels {
  roiAlignForward(records: number, count: number, height: number, width: number, channels: number, scratch: number): void;
  roiAlignBackward(records: number, count: number, height: number, width: number, channels: number, scratch: number): void;
  roiAlignBackwardInOrder(records: number, count: number, height: number, width: number, channels: number, scratch: number): void;
  resizeColourRows(
    input: number,
    height: number,
    inputWidth: number,
    width: number,
    starts: number,
    lengths: number,
    weights: number,
    stride: number,
    out: number,
  ): void;
  resizeColumns(
    input: number,
    rowLength: number,
    height: number,
    starts: number,
    lengths: number,
    weights: number,
    stride: number,
    out: number,
  ): void;
  groupedConv2d(
    x: number,
    filter: number,
    y: number,
    images: number,
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    outHeight: number,
    outWidth: number,
    outs: number,
    groups: number,
    stride: number,
    scratch: number,
  ): void;
  groupedConv2dFew(
    x: number,
    filter: number,
    y: number,
    images: number,
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    outHeight: number,
    outWidth: number,
    outs: number,
    groups: number,
    stride: number,
    top: number,
    left: number,
  ): void;
  groupedConv2dScratch(outHeight: number, outWidth: number, filterSize: number): number;
  winogradFilter(filter: number, u: number, channels: number, outs: number, step: number, first: number, end: number): void;
  winogradScratch(channels: number, outs: number, block: number): number;
  winogradTiles(
    x: number,
    u: number,
    bias: number,
    y: number,
    height: number,
    width: number,
    channels: number,
    outHeight: number,
    outWidth: number,
    outs: number,
    padTop: number,
    padLeft: number,
    relu: number,
    inStep: number,
    outStep: number,
    first: number,
    end: number,
    block: number,
    scratch: number,
  ): void;
  packPanels(w: number, u: number, outs: number, first: number, count: number, firstPanel: number, endPanel: number): void;
  products(
    x: number,
    u: number,
    bias: number,
    y: number,
    channels: number,
    outs: number,
    groups: number,
    first: number,
    count: number,
    relu: number,
    row: number,
    end: number,
  ): void;
  gradientTiles(
    x: number,
    dy: number,
    v: number,
    m: number,
    height: number,
    width: number,
    channels: number,
    outHeight: number,
    outWidth: number,
    outs: number,
    padTop: number,
    padLeft: number,
    start: number,
    first: number,
    end: number,
    capacity: number,
    patch: number,
  ): void;
  gradientRows(
    x: number,
    dy: number,
    v: number,
    m: number,
    channels: number,
    outs: number,
    start: number,
    first: number,
    end: number,
    capacity: number,
  ): void;
  gradientSums(
    v: number,
    m: number,
    sums: number,
    channels: number,
    outs: number,
    count: number,
    capacity: number,
    add: number,
    perPlane: number,
    first: number,
    end: number,
  ): void;
  gradientFilter(sums: number, filter: number, channels: number, outs: number): void;
  turnFilter(filter: number, turned: number, taps: number, inputs: number, outs: number, groups: number): void;
  nms(boxes: number, count: number, threshold: number, kept: number, indices: number): number;
}

/** Compiles an embedded module. */
export function compile(base64: string): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
}

/**
 * Instantiates the kernels on a memory: the TensorFlow.js wasm backend's heap, or one of our own.
 * @throws BackendError where WebAssembly with SIMD is not available
 */
export function instantiateKernels(memory: WebAssembly.Memory): Kernels {
  try {
    return new WebAssembly.Instance(compile(KERNELS_BASE64), { env: { memory } }).exports as unknown as Kernels;
  } catch (cause) {
    throw new BackendError(
      'The host kernels did not start: they need WebAssembly with SIMD (Node 16.4, Chrome 91, Firefox 89, Safari 16.4 or newer).',
      { cause },
    );
  }
}
