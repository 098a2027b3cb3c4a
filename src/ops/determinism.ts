import * as tf from '@tensorflow/tfjs-core';

const FLAG = 'MASKRCNN_DETERMINISTIC';

tf.env().registerFlag(FLAG, () => false);

/**
 * Whether kernels that scatter sums (the gradients of RoIAlign, of rotated RoIAlign and of deformable convolution) give the same bits from run to run on every
 * device. Off, webgpu adds with atomics, in the order in which the GPU's threads happen to come: faster, and equal up to rounding.
 * cpu, wasm, tensorflow and webgl always repeat. On, webgpu and webgl also add the terms of RoIAlign's gradient with a fixed sampling ratio in torchvision's order,
 * so that its roundings are the same. Set it with `tf.env().set('MASKRCNN_DETERMINISTIC', true)`.
 */
export function isDeterministic(): boolean {
  return tf.env().getBool(FLAG);
}
