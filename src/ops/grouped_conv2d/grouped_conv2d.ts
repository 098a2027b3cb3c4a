import * as tf from '@tensorflow/tfjs-core';
import {
  GROUPED_CONV2D,
  GROUPED_CONV2D_FILTER_GRAD,
  GROUPED_CONV2D_INPUT_GRAD,
  type GroupedConvAttributes,
} from './kernel_names.js';
import { suitsWasm } from './wasm.js';
import './cpu.js';
import './wasm_gradients.js';
import './webgl.js';
import './webgpu.js';

tf.registerGradient({
  kernelName: GROUPED_CONV2D,
  inputsToSave: ['x', 'filter'],
  gradFunc: (dy, [x, filter], attrs) => {
    const inputs = { dy: dy as tf.Tensor, x, filter };
    return {
      x: () => tf.engine().runKernel(GROUPED_CONV2D_INPUT_GRAD, inputs, attrs) as tf.Tensor,
      filter: () => tf.engine().runKernel(GROUPED_CONV2D_FILTER_GRAD, inputs, attrs) as tf.Tensor,
    };
  },
});

/**
 * On GPUs dense convolutions take four channels or whole tiles at once, which our kernels outdo from so many groups on, as timed on drivers in software;
 * webgl's in inference and with gradients.
 */
const LEAST_GROUPS = { webgpu: [8, 8], webgl: [16, 8] } as const;

/**
 * How the running backend should convolve, with gradients where they are recorded: by the direct kernel, or by one dense convolution whose kernel has the groups
 * on its diagonal where that takes less time: on GPUs for few groups. Undefined where the backend has no kernel for this convolution.
 * @param filterShape [kh, kw, C / groups, K]
 */
export function groupedConvWay(filterShape: readonly number[], groups: number): 'direct' | 'dense' | undefined {
  const backend = tf.getBackend();
  if (tf.getKernel(GROUPED_CONV2D, backend) === undefined) return undefined;
  const gradients = tf.engine().state.gradientDepth > 0;
  if (backend === 'webgpu' || backend === 'webgl') return groups < LEAST_GROUPS[backend][Number(gradients)] ? 'dense' : 'direct';
  return backend !== 'wasm' || suitsWasm(filterShape, groups, gradients) ? 'direct' : undefined;
}

/**
 * Grouped convolution by the backend's own kernel, where {@link groupedConvWay} knows one: each of `groups` equal parts of the channels with filters of its own, none with zeros for the
 * other parts.
 *
 * @param x      [N, H, W, C], C divisible by `groups`
 * @param filter [kh, kw, C / groups, K], K divisible by `groups`
 * @param pad    as `tf.conv2d`'s
 * @returns      [N, H', W', K]
 */
export function directGroupedConv2d(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  groups: number,
  stride: number,
  pad: 'same' | 'valid',
): tf.Tensor4D {
  const full: [number, number, number, number] = [filter.shape[0], filter.shape[1], x.shape[3], filter.shape[3]];
  const { outHeight, outWidth, padInfo } = tf.backend_util.computeConv2DInfo(x.shape, full, stride, 1, pad);
  const attributes: GroupedConvAttributes = {
    groups,
    stride,
    padding: [padInfo.top, padInfo.left],
    outShape: [outHeight, outWidth],
  };
  return tf.engine().runKernel(GROUPED_CONV2D, { x, filter }, attributes as unknown as tf.NamedAttrMap) as tf.Tensor4D;
}
