import * as tf from '@tensorflow/tfjs-core';
import { placeMap } from './place_map.js';
import { replaceWasmKernel } from './replace_kernel.js';

// Missing in the wasm backend. For every tap of the filter one product of the shifted map, channels first (its transposed product is
// ten times slower than the plain one), with the gradient. A stride splits the map into phases, so that every tap reads a plain slice.
replaceWasmKernel('Conv2DBackpropFilter', (inputs, attrs) =>
  tf.tidy(() => {
    const x = inputs.x as tf.Tensor4D;
    const dy = inputs.dy as tf.Tensor4D;
    const { strides, pad, dimRoundingMode, filterShape } = attrs as unknown as tf.Conv2DBackpropFilterAttrs;
    const info = tf.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad, dimRoundingMode, false, 'channelsLast');
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
    return tf.reshape(tf.stack(taps), filterShape);
  }),
);
