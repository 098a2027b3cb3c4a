import * as tf from '@tensorflow/tfjs-core';
import {
  GROUPED_CONV2D,
  GROUPED_CONV2D_FILTER_GRAD,
  GROUPED_CONV2D_INPUT_GRAD,
  type GroupedConvAttributes,
} from './kernel_names.js';
import { isDenseFasterOnWasm, suitsWasm } from './wasm.js';
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

/** What the choice of a way for a grouped convolution depends on. */
export interface GroupedConvCase {
  /** [N, H, W, C] */
  readonly x: readonly [number, number, number, number];
  /** [kh, kw, C / groups, K] */
  readonly filter: readonly [number, number, number, number];
  readonly groups: number;
  readonly stride: number;
  readonly pad: 'same' | 'valid';
}

/** On webgpu a dense convolution is a product of tiles in shared memory, which our kernel's reads through the cache outdo from so many groups on. */
const LEAST_GROUPS_ON_WEBGPU = 8;

/**
 * How the running backend should convolve, forward or, while gradients are recorded, with them: by the direct kernel, or by one dense convolution whose
 * kernel has the groups on its diagonal where that takes less time. Undefined where the backend has no kernel for this convolution.
 *
 * - cpu: direct; it does the same arithmetic without the zeros.
 * - wasm: dense for very small outputs of few groups in inference, and for large products of no more groups than threads (`isDenseFasterOnWasm`).
 * - webgpu: dense for fewer than 8 groups.
 */
export function groupedConvWay(c: GroupedConvCase): 'direct' | 'dense' | undefined {
  const backend = tf.getBackend();
  if (tf.getKernel(GROUPED_CONV2D, backend) === undefined) return undefined;
  if (backend === 'webgpu') return c.groups < LEAST_GROUPS_ON_WEBGPU ? 'dense' : 'direct';
  if (backend !== 'wasm') return 'direct';
  const gradients = tf.engine().state.gradientDepth > 0;
  if (!suitsWasm(c.filter, c.groups, gradients)) return undefined;
  const { outHeight, outWidth } = geometryOf(c);
  return isDenseFasterOnWasm(c.filter, c.groups, c.stride, c.x[0] * outHeight * outWidth, gradients) ? 'dense' : 'direct';
}

function geometryOf({ x, filter, stride, pad }: GroupedConvCase) {
  const full: [number, number, number, number] = [filter[0], filter[1], x[3], filter[3]];
  return tf.backend_util.computeConv2DInfo([...x], full, stride, 1, pad);
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
  const { outHeight, outWidth, padInfo } = geometryOf({ x: x.shape, filter: filter.shape, groups, stride, pad });
  const attributes: GroupedConvAttributes = {
    groups,
    stride,
    padding: [padInfo.top, padInfo.left],
    outShape: [outHeight, outWidth],
  };
  return tf.engine().runKernel(GROUPED_CONV2D, { x, filter }, attributes as unknown as tf.NamedAttrMap) as tf.Tensor4D;
}
