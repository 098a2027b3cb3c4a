import type * as tf from '@tensorflow/tfjs-core';
import type { WasmBackend } from '../../ops/kernels/wasm_heap.js';
import { replaceWasmKernel } from './replace_kernel.js';

// Missing in the wasm backend; the gradient of tf.gather. Rows with a negative segment are dropped, as elsewhere.
replaceWasmKernel('UnsortedSegmentSum', ({ x, segmentIds }, attrs, backend) => {
  const { numSegments } = attrs as unknown as tf.UnsortedSegmentSumAttrs;
  const wasm = backend as WasmBackend;
  const rank = segmentIds.shape.length;
  const rowShape = x.shape.slice(rank);
  const length = rowShape.reduce((a, b) => a * b, 1);
  const out = wasm.makeOutput([numSegments, ...rowShape], x.dtype);
  const sums = wasm.typedArrayFromHeap(out);
  const values = wasm.typedArrayFromHeap(x);
  sums.fill(0);
  wasm.typedArrayFromHeap(segmentIds).forEach((segment: number, row: number) => {
    if (segment < 0 || segment >= numSegments) return;
    for (let k = 0; k < length; k++) sums[segment * length + k] += values[row * length + k];
  });
  return out;
});
