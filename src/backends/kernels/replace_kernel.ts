import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';

/** Registers a kernel on the wasm backend, in place of the stock one where there is one. */
export function replaceWasmKernel(
  kernelName: string,
  kernelFunc: (inputs: Record<string, tf.TensorInfo>, attrs: Record<string, unknown>, backend: unknown) => tf.TensorInfo,
): void {
  if (tf.getKernel(kernelName, 'wasm')) tf.unregisterKernel(kernelName, 'wasm');
  tf.registerKernel({
    kernelName,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs, backend }) =>
      kernelFunc(inputs as Record<string, tf.TensorInfo>, attrs as Record<string, unknown>, backend),
  });
}
