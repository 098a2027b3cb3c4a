import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type CpuBackend, valuesOf } from './cpu_values.js';
import { replaceKernel } from './replace_kernel.js';

type ConvInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/**
 * A convolution along the channels, summed in double precision: each result is rounded once. The stock kernel rounds after every addition,
 * which over a few thousand products costs the last digits, and addresses numbers one by one.
 */
function convolve(
  x: Float32Array,
  filter: Float32Array,
  bias: Float32Array | undefined,
  relu: boolean,
  info: ConvInfo,
): Float32Array {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
  const out = new Float32Array(batchSize * outHeight * outWidth * outChannels);
  const sums = new Float64Array(outChannels);
  for (let n = 0, to = 0; n < batchSize; n++) {
    for (let p = 0; p < outHeight; p++) {
      for (let q = 0; q < outWidth; q++, to += outChannels) {
        if (bias) sums.set(bias);
        else sums.fill(0);
        for (let i = 0; i < filterHeight; i++) {
          const row = p * strideHeight - padInfo.top + i * dilationHeight;
          if (row < 0 || row >= inHeight) continue;
          for (let j = 0; j < filterWidth; j++) {
            const column = q * strideWidth - padInfo.left + j * dilationWidth;
            if (column < 0 || column >= inWidth) continue;
            const from = ((n * inHeight + row) * inWidth + column) * inChannels;
            addTap(sums, x, from, filter, (i * filterWidth + j) * inChannels * outChannels, inChannels);
          }
        }
        for (let k = 0; k < outChannels; k++) out[to + k] = relu && sums[k] < 0 ? 0 : sums[k];
      }
    }
  }
  return out;
}

/** Adds one pixel's channels times one tap's weights. */
function addTap(
  sums: Float64Array,
  x: Float32Array,
  from: number,
  filter: Float32Array,
  weights: number,
  inChannels: number,
): void {
  const outChannels = sums.length;
  for (let c = 0, at = weights; c < inChannels; c++, at += outChannels) {
    const value = x[from + c];
    if (value === 0) continue;
    for (let k = 0; k < outChannels; k++) sums[k] += value * filter[at + k];
  }
}

interface ConvAttributes {
  strides: number | [number, number];
  pad: 'same' | 'valid' | number | [[number, number], [number, number], [number, number], [number, number]];
  dilations: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
  dataFormat?: 'NHWC' | 'NCHW';
  activation?: string;
}

for (const kernelName of ['Conv2D', 'FusedConv2D']) {
  const stock = tf.getKernel(kernelName, 'cpu');
  replaceKernel('cpu', kernelName, (inputs, attrs, backend) => {
    const { x, filter, bias } = inputs as { x: tf.TensorInfo; filter: tf.TensorInfo; bias?: tf.TensorInfo };
    const {
      strides,
      pad,
      dilations,
      dimRoundingMode,
      dataFormat = 'NHWC',
      activation = 'linear',
    } = attrs as unknown as ConvAttributes;
    const plain =
      (activation === 'linear' || activation === 'relu') && dataFormat === 'NHWC' && (!bias || bias.shape.length === 1);
    if (!plain)
      return stock.kernelFunc({
        inputs,
        attrs: attrs as Parameters<typeof stock.kernelFunc>[0]['attrs'],
        backend: backend as object,
      }) as tf.TensorInfo;
    const info = tf.backend_util.computeConv2DInfo(
      x.shape as [number, number, number, number],
      filter.shape as [number, number, number, number],
      strides,
      dilations,
      pad,
      dimRoundingMode,
      false,
      'channelsLast',
    );
    const cpu = backend as CpuBackend;
    const shift = bias && valuesOf(cpu, bias);
    return cpu.makeTensorInfo(
      [...info.outShape],
      'float32',
      convolve(valuesOf(cpu, x), valuesOf(cpu, filter), shift, activation === 'relu', info),
    );
  });
}
