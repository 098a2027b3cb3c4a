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

/** On webgpu a dense convolution is a product of tiles in shared memory, which our kernel's reads through the cache outdo from so many groups on. */
const LEAST_GROUPS_ON_WEBGPU = 8;

/**
 * How the running backend should convolve, with gradients where they are recorded: by the direct kernel, or by one dense convolution whose kernel has the groups
 * on its diagonal where that takes less time: on webgpu for fewer than 8 groups. Undefined where the backend has no kernel for this convolution.
 * @param filterShape [kh, kw, C / groups, K]
 */
export function groupedConvWay(filterShape: readonly number[], groups: number): 'direct' | 'dense' | undefined {
  const backend = tf.getBackend();
  if (tf.getKernel(GROUPED_CONV2D, backend) === undefined) return undefined;
  if (backend === 'webgpu') return groups < LEAST_GROUPS_ON_WEBGPU ? 'dense' : 'direct';
  return backend !== 'wasm' || suitsWasm(filterShape, groups, tf.engine().state.gradientDepth > 0) ? 'direct' : undefined;
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
