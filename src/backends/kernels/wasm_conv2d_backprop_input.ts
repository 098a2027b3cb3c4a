import * as tf from '@tensorflow/tfjs-core';
import { turnFilter } from '../../ops/kernels/wasm_turn_filter.js';
import { placeMap, spread } from './place_map.js';
import { replaceWasmKernel } from './replace_kernel.js';

// The stock kernel multiplies pixel by pixel, ten times slower than the forward convolution; this is a forward convolution of the
// spread gradient with the turned filter. A 1x1 filter runs before the spreading, on the small map.
replaceWasmKernel('Conv2DBackpropInput', (inputs, attrs) =>
  tf.tidy(() => {
    const dy = inputs.dy as tf.Tensor4D;
    const filter = inputs.filter as tf.Tensor4D;
    const { strides, pad, dimRoundingMode, inputShape } = attrs as unknown as tf.Conv2DBackpropInputAttrs;
    const info = tf.backend_util.computeConv2DInfo(
      inputShape,
      filter.shape,
      strides,
      1,
      pad,
      dimRoundingMode,
      false,
      'channelsLast',
    );
    const { filterHeight, filterWidth, inHeight, inWidth, strideHeight, strideWidth, padInfo } = info;
    const turned = turnFilter(filter);
    if (filterHeight === 1 && filterWidth === 1) {
      const small = tf.conv2d(dy, turned, 1, 'valid');
      return placeMap(spread(small, strideHeight, strideWidth), -padInfo.top, -padInfo.left, inHeight, inWidth);
    }
    const top = filterHeight - 1 - padInfo.top;
    const left = filterWidth - 1 - padInfo.left;
    const [bottom, right] = [inHeight - info.outHeight + padInfo.top, inWidth - info.outWidth + padInfo.left];
    if (strideHeight === 1 && strideWidth === 1 && Math.min(top, left, bottom, right) >= 0)
      return tf.conv2d(dy, turned, 1, [[0, 0], [top, bottom], [left, right], [0, 0]]); // prettier-ignore
    const map = placeMap(
      spread(dy, strideHeight, strideWidth),
      top,
      left,
      inHeight + filterHeight - 1,
      inWidth + filterWidth - 1,
    );
    return tf.conv2d(map, turned, 1, 'valid');
  }),
);
