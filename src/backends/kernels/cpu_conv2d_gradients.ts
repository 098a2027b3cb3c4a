import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type CpuBackend, valuesOf } from './cpu_values.js';
import { replaceKernel } from './replace_kernel.js';

type ConvInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/** Calls `visit` for every pair of an output and an input pixel that a tap of the filter joins, as numbers of pixels. */
function forEachTap(info: ConvInfo, visit: (tap: number, output: number, input: number) => void): void {
  const { batchSize, inHeight, inWidth, outHeight, outWidth, filterHeight, filterWidth, strideHeight, strideWidth } = info;
  for (let n = 0, output = 0; n < batchSize; n++) {
    for (let p = 0; p < outHeight; p++) {
      for (let q = 0; q < outWidth; q++, output++) {
        for (let i = 0; i < filterHeight; i++) {
          const y = p * strideHeight - info.padInfo.top + i;
          if (y < 0 || y >= inHeight) continue;
          for (let j = 0; j < filterWidth; j++) {
            const x = q * strideWidth - info.padInfo.left + j;
            if (x >= 0 && x < inWidth) visit(i * filterWidth + j, output, (n * inHeight + y) * inWidth + x);
          }
        }
      }
    }
  }
}

// The stock kernels address every number through its four indices and take minutes for one training step; these run along the channels.
replaceKernel('cpu', 'Conv2DBackpropFilter', ({ x, dy }, attrs, backend) => {
  const { strides, pad, dimRoundingMode, filterShape } = attrs as unknown as tf.Conv2DBackpropFilterAttrs;
  const shape = x.shape as [number, number, number, number];
  const info = tf.backend_util.computeConv2DInfo(shape, filterShape, strides, 1, pad, dimRoundingMode, false, 'channelsLast');
  const { inChannels, outChannels } = info;
  const cpu = backend as CpuBackend;
  const [maps, gradient] = [valuesOf(cpu, x), valuesOf(cpu, dy)];
  const sums = new Float64Array(filterShape.reduce((a, b) => a * b, 1));
  forEachTap(info, (tap, output, input) => {
    const from = output * outChannels;
    for (let c = 0; c < inChannels; c++) {
      const value = maps[input * inChannels + c];
      if (value === 0) continue;
      const to = (tap * inChannels + c) * outChannels;
      for (let k = 0; k < outChannels; k++) sums[to + k] += value * gradient[from + k];
    }
  });
  return cpu.makeTensorInfo([...filterShape], 'float32', Float32Array.from(sums));
});

replaceKernel('cpu', 'Conv2DBackpropInput', ({ dy, filter }, attrs, backend) => {
  const { strides, pad, dimRoundingMode, inputShape } = attrs as unknown as tf.Conv2DBackpropInputAttrs;
  const filterShape = filter.shape as [number, number, number, number];
  const info = tf.backend_util.computeConv2DInfo(
    inputShape,
    filterShape,
    strides,
    1,
    pad,
    dimRoundingMode,
    false,
    'channelsLast',
  );
  const { inChannels, outChannels } = info;
  const cpu = backend as CpuBackend;
  const [weights, gradient] = [valuesOf(cpu, filter), valuesOf(cpu, dy)];
  const sums = new Float64Array(inputShape.reduce((a, b) => a * b, 1));
  forEachTap(info, (tap, output, input) => {
    const from = output * outChannels;
    for (let c = 0; c < inChannels; c++) {
      const row = (tap * inChannels + c) * outChannels;
      let sum = 0;
      for (let k = 0; k < outChannels; k++) sum += weights[row + k] * gradient[from + k];
      sums[input * inChannels + c] += sum;
    }
  });
  return cpu.makeTensorInfo([...inputShape], 'float32', Float32Array.from(sums));
});
