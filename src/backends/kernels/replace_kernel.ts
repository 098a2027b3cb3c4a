import * as tf from '@tensorflow/tfjs-core';

type KernelFunction = (inputs: Record<string, tf.TensorInfo>, attrs: Record<string, unknown>, backend: unknown) => tf.TensorInfo;

/** Registers a kernel on a backend, in place of the stock one where there is one. */
export function replaceKernel(backendName: string, kernelName: string, kernelFunc: KernelFunction): void {
  if (tf.getKernel(kernelName, backendName)) tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) =>
      kernelFunc(inputs as Record<string, tf.TensorInfo>, attrs as Record<string, unknown>, backend),
  });
}

/** Registers a kernel on the wasm backend, in place of the stock one where there is one. */
export function replaceWasmKernel(kernelName: string, kernelFunc: KernelFunction): void {
  replaceKernel('wasm', kernelName, kernelFunc);
}

/** The call of a kernel, as TensorFlow.js makes it. */
export type KernelCall = Parameters<tf.KernelFunc>[0];

/** Registers a kernel on the wasm backend in front of the stock one, which does what it leaves. @param ours gives undefined for that */
export function precedeWasmKernel(
  kernelName: string,
  ours: (call: KernelCall) => tf.TensorInfo | undefined,
  disposeFunc?: (backend: object) => void,
): void {
  const stock = tf.getKernel(kernelName, 'wasm')!;
  tf.unregisterKernel(kernelName, 'wasm');
  tf.registerKernel({
    ...stock,
    kernelFunc: (call) => ours(call) ?? stock.kernelFunc(call),
    ...(disposeFunc && { disposeFunc }),
  });
}
