import * as tf from '@tensorflow/tfjs-core';
import { transposedProduct, winogradFilterGradient } from '../../ops/kernels/wasm_filter_gradient.js';
import type { WasmBackend } from '../../ops/kernels/wasm_heap.js';
import type { ConvInfo } from '../../ops/kernels/wasm_winograd.js';
import { pick, placeMap } from './place_map.js';
import { replaceWasmKernel } from './replace_kernel.js';

// Missing in the wasm backend.
replaceWasmKernel('Conv2DBackpropFilter', (inputs, attrs, backend) => {
  const x = inputs.x as tf.Tensor4D;
  const dy = inputs.dy as tf.Tensor4D;
  const { strides, pad, dimRoundingMode, filterShape } = attrs as unknown as tf.Conv2DBackpropFilterAttrs;
  const info = tf.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad, dimRoundingMode, false, 'channelsLast');
  return (
    winogradFilterGradient(backend as WasmBackend, x, dy, info) ??
    pointwise(backend as WasmBackend, x, dy, info) ??
    tf.tidy(() => tapByTap(x, dy, info))
  );
});

/** A 1x1 filter sees the pixels of its stride, without a border. */
function pointwise(backend: WasmBackend, x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.TensorInfo | undefined {
  const { filterHeight, filterWidth, strideHeight, strideWidth, padInfo, batchSize, outHeight, outWidth } = info;
  if (filterHeight !== 1 || filterWidth !== 1 || Math.max(...[padInfo.top, padInfo.bottom, padInfo.left, padInfo.right]) > 0)
    return undefined;
  const { inChannels: channels, outChannels: outs } = info;
  const isWhole = strideHeight === 1 && strideWidth === 1;
  const seen = isWhole ? x : pick(x, strideHeight, strideWidth);
  const places = batchSize * outHeight * outWidth;
  const outShape = [1, 1, channels, outs];
  const gradient =
    seen.size === places * channels ? transposedProduct(backend, { x: seen, dy, channels, outs, outShape, places }) : undefined;
  if (!isWhole) seen.dispose();
  return gradient;
}

/**
 * For every tap of the filter one product of the shifted map, channels first, with the gradient. A stride splits the map into phases, so that every tap reads a
 * plain slice.
 */
function tapByTap(x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.Tensor {
  const { batchSize, inChannels, outChannels, outHeight, outWidth, strideHeight, strideWidth, padInfo } = info;
  const rows = outHeight + Math.floor((info.filterHeight - 1) / strideHeight);
  const columns = outWidth + Math.floor((info.filterWidth - 1) / strideWidth);
  const padded = placeMap(x, padInfo.top, padInfo.left, rows * strideHeight, columns * strideWidth);
  const cells = tf.reshape(padded, [batchSize, rows, strideHeight, columns, strideWidth, inChannels]);
  const phases = tf.reshape(tf.transpose(cells, [2, 4, 5, 0, 1, 3]), [
    strideHeight * strideWidth,
    inChannels * batchSize,
    rows,
    columns,
  ]);
  const gradient = tf.reshape(dy, [batchSize * outHeight * outWidth, outChannels]) as tf.Tensor2D;
  const taps: tf.Tensor[] = [];
  for (let i = 0; i < info.filterHeight; i++) {
    for (let j = 0; j < info.filterWidth; j++) {
      taps.push(
        tf.tidy(() => {
          const phase = (i % strideHeight) * strideWidth + (j % strideWidth);
          const corner = [phase, 0, Math.floor(i / strideHeight), Math.floor(j / strideWidth)];
          const shifted = tf.slice(phases, corner, [1, inChannels * batchSize, outHeight, outWidth]);
          return tf.matMul(tf.reshape(shifted, [inChannels, batchSize * outHeight * outWidth]), gradient);
        }),
      );
    }
  }
  return tf.reshape(tf.stack(taps), info.filterShape);
}
