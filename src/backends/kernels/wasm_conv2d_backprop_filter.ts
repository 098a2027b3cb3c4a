import * as tf from '@tensorflow/tfjs-core';
import { replaceWasmKernel } from './replace_kernel.js';

// Missing in the wasm backend. For every tap of the filter one product of the shifted map, channels first (its transposed product is
// ten times slower than the plain one), with the gradient.
replaceWasmKernel('Conv2DBackpropFilter', (inputs, attrs) =>
  tf.tidy(() => {
    const x = inputs.x as tf.Tensor4D;
    const dy = inputs.dy as tf.Tensor4D;
    const { strides, pad, dimRoundingMode, filterShape } = attrs as unknown as tf.Conv2DBackpropFilterAttrs;
    const info = tf.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad, dimRoundingMode, false, 'channelsLast');
    const { batchSize, inChannels, outChannels, outHeight, outWidth, strideHeight, strideWidth, padInfo } = info;
    const height = (outHeight - 1) * strideHeight + 1;
    const width = (outWidth - 1) * strideWidth + 1;
    const map = tf.pad(tf.transpose(x, [3, 0, 1, 2]), [
      [0, 0],
      [0, 0],
      [padInfo.top, padInfo.bottom],
      [padInfo.left, padInfo.right],
    ]) as tf.Tensor4D;
    const gradient = tf.reshape(dy, [batchSize * outHeight * outWidth, outChannels]) as tf.Tensor2D;
    const taps: tf.Tensor[] = [];
    for (let i = 0; i < info.filterHeight; i++) {
      for (let j = 0; j < info.filterWidth; j++) {
        taps.push(
          tf.tidy(() => {
            const shifted =
              strideHeight === 1 && strideWidth === 1
                ? tf.slice(map, [0, 0, i, j], [inChannels, batchSize, height, width])
                : tf.stridedSlice(
                    map,
                    [0, 0, i, j],
                    [inChannels, batchSize, i + height, j + width],
                    [1, 1, strideHeight, strideWidth],
                  );
            return tf.matMul(tf.reshape(shifted, [inChannels, batchSize * outHeight * outWidth]), gradient);
          }),
        );
      }
    }
    return tf.reshape(tf.stack(taps), filterShape);
  }),
);
