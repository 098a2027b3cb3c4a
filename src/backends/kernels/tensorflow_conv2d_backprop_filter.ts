import * as tf from '@tensorflow/tfjs-core';

/**
 * The pixels of x that a convolution of 1x1 sees at a stride: with them, and stride 1, its gradient for the filter is the same.
 *
 * oneDNN 3.7 on processors with AVX-512 writes behind its buffer in that gradient where the stride is not 1 and there are fewer than 16 input
 * channels: the process ends later with "corrupted size vs. prev_size", or computes with what it overwrote.
 *
 * @param x [N, H, W, C]
 * @param dy [N, H', W', K]
 * @returns [N, H', W', C]; the caller disposes of it
 */
export function pixelsAtStride(x: tf.TensorInfo, dy: tf.TensorInfo, [down, across]: readonly [number, number]): tf.Tensor {
  const [batch, , , channels] = x.shape;
  const [, height, width] = dy.shape;
  const end = [batch, (height - 1) * down + 1, (width - 1) * across + 1, channels];
  return tf.engine().runKernel<tf.Tensor>('StridedSlice', { x } as unknown as tf.NamedTensorMap, {
    begin: [0, 0, 0, 0],
    end,
    strides: [1, down, across, 1],
    beginMask: 0,
    endMask: 0,
    ellipsisMask: 0,
    newAxisMask: 0,
    shrinkAxisMask: 0,
  });
}

let guarded: tf.KernelConfig | undefined;

/** Puts {@link pixelsAtStride} in front of TensorFlow.js's own gradient for filters of 1x1 at a stride, once. */
export function guardTensorflowFilterGradient(): void {
  const stock = tf.getKernel('Conv2DBackpropFilter', 'tensorflow');
  if (!stock || stock === guarded) return;
  guarded = {
    ...stock,
    kernelFunc: (call) => {
      const { x, dy } = call.inputs as { x: tf.TensorInfo; dy: tf.TensorInfo };
      const { filterShape, strides } = call.attrs as unknown as { filterShape: number[]; strides: number | [number, number] };
      const [down, across] = typeof strides === 'number' ? [strides, strides] : strides;
      if (filterShape[0] !== 1 || filterShape[1] !== 1 || (down === 1 && across === 1)) return stock.kernelFunc(call);
      const seen = pixelsAtStride(x, dy, [down, across]);
      const gradient = stock.kernelFunc({ ...call, inputs: { x: seen, dy }, attrs: { ...call.attrs, strides: [1, 1] } });
      seen.dispose();
      return gradient;
    },
  };
  tf.unregisterKernel('Conv2DBackpropFilter', 'tensorflow');
  tf.registerKernel(guarded);
}
