import * as tf from '@tensorflow/tfjs-core';

/** A copy that the running device has computed: a GPU then has values that are not on the host. TensorFlow.js else computes small tensors there. */
export function computed(values: number[][]): tf.Tensor2D {
  const backend = tf.getBackend();
  const flag = { webgpu: 'WEBGPU_CPU_FORWARD', webgl: 'WEBGL_CPU_FORWARD' }[backend];
  const forwards = flag !== undefined && tf.env().getBool(flag);
  if (forwards) tf.env().set(flag, false);
  try {
    return tf.tidy(() => {
      const tensor = tf.tensor2d(values);
      return tf.add<tf.Tensor2D>(tensor, tf.zerosLike(tensor));
    });
  } finally {
    if (forwards) tf.env().set(flag, true);
  }
}
