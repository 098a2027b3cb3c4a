import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import { threadsOf } from '../../ops/kernels/kernel_threads.js';
import type { WasmBackend } from '../../ops/kernels/wasm_heap.js';
import { winogradConv2d } from './wasm_winograd.js';

type Shape4D = [number, number, number, number];

interface ConvInputs {
  readonly x: tf.TensorInfo;
  readonly filter: tf.TensorInfo;
  readonly bias?: tf.TensorInfo;
}

// Large 3x3 convolutions of stride 1 are done otherwise than by tfjs; all others as before.
for (const kernelName of ['Conv2D', 'FusedConv2D']) {
  const stock = tf.getKernel(kernelName, 'wasm')!;
  tf.unregisterKernel(kernelName, 'wasm');
  tf.registerKernel({
    ...stock,
    kernelFunc: (call) => {
      const { x, filter, bias } = call.inputs as unknown as ConvInputs;
      const { strides, dilations, pad, dimRoundingMode, dataFormat, activation } = call.attrs as unknown as tf.FusedConv2DAttrs;
      const fused = activation ?? 'linear';
      const known = (fused === 'linear' || fused === 'relu') && (dataFormat ?? 'NHWC') === 'NHWC';
      if (known && filter.shape[0] === 3 && filter.shape[1] === 3 && (!bias || bias.shape.length === 1)) {
        const [input, kernel] = [x.shape as Shape4D, filter.shape as Shape4D];
        const info = tf.backend_util.computeConv2DInfo(input, kernel, strides, dilations, pad, dimRoundingMode);
        const inputs = { x, filter, ...(bias && { bias }), relu: fused === 'relu' };
        const y = winogradConv2d(call.backend as WasmBackend, inputs, info);
        if (y) return y;
      }
      return stock.kernelFunc(call);
    },
    // TensorFlow.js calls this when the backend is removed.
    disposeFunc: (backend) => {
      stock.disposeFunc?.(backend);
      threadsOf(backend)?.dispose();
    },
  });
}
