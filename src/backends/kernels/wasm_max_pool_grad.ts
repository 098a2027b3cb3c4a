import * as tf from '@tensorflow/tfjs-core';
import type { WasmBackend } from '../../ops/kernels/wasm_heap.js';
import { replaceWasmKernel } from './replace_kernel.js';

// The stock kernel starts its running maximum at the smallest positive number, so windows without a positive value lose their
// gradient. Here the first of equal maxima gets it, as in PyTorch.
replaceWasmKernel('MaxPoolGrad', ({ dy, input }, attrs, backend) => {
  const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as tf.MaxPoolGradAttrs;
  const wasm = backend as WasmBackend;
  const info = tf.backend_util.computePool2DInfo(
    input.shape as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  const { batchSize, inChannels: channels, inHeight, inWidth, outHeight, outWidth, padInfo } = info;
  const dx = wasm.makeOutput(input.shape, 'float32');
  const sums = wasm.typedArrayFromHeap(dx);
  const x = wasm.typedArrayFromHeap(input);
  const g = wasm.typedArrayFromHeap(dy);
  sums.fill(0);
  const best = new Int32Array(channels);
  let out = 0;
  for (let n = 0; n < batchSize; n++) {
    for (let p = 0; p < outHeight; p++) {
      const top = p * info.strideHeight - padInfo.top;
      for (let q = 0; q < outWidth; q++, out += channels) {
        const left = q * info.strideWidth - padInfo.left;
        best.fill(-1);
        for (let y = Math.max(0, top); y < Math.min(inHeight, top + info.filterHeight); y++) {
          for (let v = Math.max(0, left); v < Math.min(inWidth, left + info.filterWidth); v++) {
            const at = ((n * inHeight + y) * inWidth + v) * channels;
            for (let c = 0; c < channels; c++) if (best[c] < 0 || x[at + c] > x[best[c]]) best[c] = at + c;
          }
        }
        for (let c = 0; c < channels; c++) if (best[c] >= 0) sums[best[c]] += g[out + c];
      }
    }
  }
  return dx;
});
