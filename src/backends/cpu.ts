import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { BackendError } from '../errors.js';
import './kernels/cpu_conv2d.js';
import './kernels/cpu_conv2d_gradients.js';

/**
 * Starts TensorFlow.js's plain JavaScript backend: the reference, about a thousandth of a good native one's speed.
 *
 * @throws BackendError where tfjs refuses.
 */
export async function startCpu(): Promise<string> {
  if (!(await tf.setBackend('cpu')))
    throw new BackendError('device cpu: TensorFlow.js refused to start its cpu backend. Run `npm install` again.');
  await tf.ready();
  // Else tfjs prints an advertisement for tfjs-node at the first tensor.
  (tf.backend() as unknown as { firstUse: boolean }).firstUse = false;
  return 'plain JavaScript, one thread (slow: the reference)';
}
