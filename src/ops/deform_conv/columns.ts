import * as tf from '@tensorflow/tfjs-core';
import type { DeformGeometry } from './geometry.js';

/**
 * The samples of a deformable convolution, tap by tap. Inputs: `x` [N, H, W, C] and `offset` [N, P, Q, D * K * 2]; output:
 * [G, N * P * Q, K, C / G] (D deformable groups, G groups, K taps).
 */
export const DEFORM_COLUMNS = 'DeformColumns';

/** The same with a third input, `mask` [N, P, Q, D * K], that each sample is multiplied with. */
export const MODULATED_DEFORM_COLUMNS = 'ModulatedDeformColumns';

/** The gradient of a kernel: inputs `dy` and its own, outputs the gradients of its inputs, in order. */
export const gradientOf = (kernelName: string): string => `${kernelName}Grad`;

/** The attributes of all of these kernels. */
export interface ColumnAttributes extends DeformGeometry {
  /** Height and width of the output. */
  outShape: [number, number];
}

for (const [kernelName, names] of [
  [DEFORM_COLUMNS, ['x', 'offset']],
  [MODULATED_DEFORM_COLUMNS, ['x', 'offset', 'mask']],
] as const) {
  tf.registerGradient({
    kernelName,
    inputsToSave: [...names],
    gradFunc: (dy, saved, attrs) => {
      const inputs: tf.NamedTensorMap = { dy: dy as tf.Tensor };
      names.forEach((name, i) => (inputs[name] = saved[i]));
      const gradients = tf.engine().runKernel(gradientOf(kernelName), inputs, attrs) as unknown as tf.Tensor[];
      return Object.fromEntries(names.map((name, i) => [name, () => gradients[i]]));
    },
  });
}

/** Runs the kernel: the modulated one where there is a mask. */
export function deformColumns(
  x: tf.Tensor4D,
  offset: tf.Tensor4D,
  mask: tf.Tensor4D | undefined,
  attributes: ColumnAttributes,
): tf.Tensor4D {
  const name = mask ? MODULATED_DEFORM_COLUMNS : DEFORM_COLUMNS;
  const inputs: tf.NamedTensorMap = { x, offset, ...(mask ? { mask } : {}) };
  return tf.engine().runKernel(name, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor4D;
}
