import * as tf from '@tensorflow/tfjs-core';
import { addressOf, wasmHeap, type WasmBackend } from './wasm_heap.js';

/**
 * A filter for the way back: turned by half a circle, the inputs and outputs of each group exchanged. TensorFlow.js's reversal and transposition take several
 * times as long.
 * @param filter [kh, kw, C / groups, K]
 * @returns      [kh, kw, K / groups, C]
 */
export function turnFilter(filter: tf.Tensor4D, groups = 1): tf.Tensor4D {
  const [height, width, inputs, outs] = filter.shape;
  const shape: [number, number, number, number] = [height, width, outs / groups, groups * inputs];
  const backend = tf.backend() as unknown as WasmBackend;
  const heap = wasmHeap(backend);
  if (heap && filter.dtype === 'float32') {
    const turned = backend.makeOutput(shape, 'float32');
    heap.kernels.turnFilter(addressOf(backend, filter), addressOf(backend, turned), height * width, inputs, outs, groups);
    return tf.engine().makeTensorFromTensorInfo(turned) as tf.Tensor4D;
  }
  return tf.tidy(() => {
    const perGroup = tf.reshape(tf.reverse(filter, [0, 1]), [height, width, inputs, groups, outs / groups]);
    return tf.reshape(tf.transpose(perGroup, [0, 1, 4, 3, 2]), shape);
  });
}
