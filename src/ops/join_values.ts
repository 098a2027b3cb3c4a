import * as tf from '@tensorflow/tfjs-core';
import { int, runFragments, type WebglBackend } from './kernels/webgl_program.js';

/** Inputs: `x0`, `x1`, ... of any shapes; output: their values one after another. Registered where the stock concatenation compiles anew for each size. */
const JOIN_VALUES = 'JoinValues';

/** The values of float32 tensors one after another, for one read. @returns [total] */
export function joinValues(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  if (tf.getKernel(JOIN_VALUES, tf.getBackend()) === undefined)
    return tf.tidy(() => tf.concat(tensors.map((tensor) => tf.reshape(tensor, [-1]) as tf.Tensor1D)));
  const inputs = Object.fromEntries(tensors.map((tensor, i) => [`x${i}`, tensor]));
  return tf.engine().runKernel(JOIN_VALUES, inputs, {}) as tf.Tensor1D;
}

tf.registerKernel({
  kernelName: JOIN_VALUES,
  backendName: 'webgl',
  kernelFunc: ({ inputs, backend }) => {
    const parts = Object.values(inputs) as tf.TensorInfo[];
    const lengths = parts.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    return runFragments(backend as WebglBackend, {
      code: `
  float run(int index) {
    int at = index;
    ${parts.map((_, i) => `if (at < length${i}) return getPart${i}(at);\n    at -= length${i};`).join('\n    ')}
    return 0.0;
  }`,
      inputs: Object.fromEntries(parts.map((part, i) => [`Part${i}`, part])),
      uniforms: Object.fromEntries(lengths.map((length, i) => [`length${i}`, int(length)])),
      output: [lengths.reduce((a, b) => a + b, 0)],
    });
  },
});
