import * as tf from '@tensorflow/tfjs-core';
import { directGroupedConv2d, hasGroupedConv2d } from '../ops/grouped_conv2d/grouped_conv2d.js';

/** Channels in and out of one dense convolution that stands for several groups; below this, one call costs more than its arithmetic. */
const PACK_CHANNELS = 32;

/**
 * Grouped convolution, which tfjs has not: TensorFlow's own, a direct kernel (cpu, webgpu), or groups packed into dense convolutions with block-diagonal
 * kernels. Each has gradients.
 * @param x      [N, H, W, C]
 * @param kernel [kh, kw, C / groups, K]
 * @returns      [N, H', W', K]
 */
export function groupedConv2d(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  groups: number,
  stride: number,
  pad: 'same' | 'valid',
): tf.Tensor4D {
  if (tf.getBackend() === 'tensorflow') return nativeGroupedConv2d(x, kernel, groups, stride, pad);
  if (hasGroupedConv2d()) return directGroupedConv2d(x, kernel, groups, stride, pad);
  return packedGroupedConv2d(x, kernel, groups, stride, pad);
}

function packedGroupedConv2d(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  groups: number,
  stride: number,
  pad: 'same' | 'valid',
): tf.Tensor4D {
  const [kh, kw, inPerGroup, outChannels] = kernel.shape;
  const outPerGroup = outChannels / groups;
  let groupsPerPack = Math.min(groups, Math.max(1, Math.floor(PACK_CHANNELS / inPerGroup)));
  while (groups % groupsPerPack !== 0) groupsPerPack--;
  return tf.tidy(() => {
    const packs: tf.Tensor4D[] = [];
    for (let first = 0; first < groups; first += groupsPerPack) {
      const blocks: tf.Tensor4D[] = [];
      for (let g = 0; g < groupsPerPack; g++) {
        const block = tf.slice(kernel, [0, 0, 0, (first + g) * outPerGroup], [kh, kw, inPerGroup, outPerGroup]);
        const before = g * inPerGroup;
        const after = (groupsPerPack - 1 - g) * inPerGroup;
        blocks.push(tf.pad(block, [[0, 0], [0, 0], [before, after], [0, 0]])); // prettier-ignore
      }
      const packKernel = tf.concat(blocks, 3);
      const channels = groupsPerPack * inPerGroup;
      const part = tf.slice(x, [0, 0, 0, first * inPerGroup], [-1, -1, -1, channels]);
      packs.push(tf.conv2d(part, packKernel, stride, pad));
    }
    return tf.concat(packs, 3);
  });
}

/** The parts of tfjs-node's binding that running an operation by name needs. */
interface NativeBackend {
  binding: { TF_ATTR_TYPE: number; TF_FLOAT: number; TF_ATTR_STRING: number; TF_ATTR_INT: number };
  executeSingleOutput(
    name: string,
    attributes: { name: string; type: number; value: unknown }[],
    inputs: tf.Tensor[],
  ): tf.Tensor4D;
}

/** Backends whose TensorFlow runs grouped convolutions but not their gradients: only oneDNN has those, and it is off on some processors. */
const withoutGradients = new WeakSet<object>();

/** TensorFlow's own convolution derives the groups from the kernel's depth; the public function refuses that, the operation does not. */
function nativeGroupedConv2d(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  groups: number,
  stride: number,
  pad: 'same' | 'valid',
): tf.Tensor4D {
  const backend = tf.backend() as unknown as NativeBackend;
  const { TF_ATTR_TYPE, TF_FLOAT, TF_ATTR_STRING, TF_ATTR_INT } = backend.binding;
  const attributes = [
    { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT },
    { name: 'strides', type: TF_ATTR_INT, value: [1, stride, stride, 1] },
    { name: 'padding', type: TF_ATTR_STRING, value: pad.toUpperCase() },
    { name: 'data_format', type: TF_ATTR_STRING, value: 'NHWC' },
    { name: 'dilations', type: TF_ATTR_INT, value: [1, 1, 1, 1] },
  ];
  const convolve = tf.customGrad(
    (input: tf.Tensor | tf.GradSaveFunc, filter: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
      const [a, b] = [input as tf.Tensor4D, filter as tf.Tensor4D];
      (save as tf.GradSaveFunc)([a, b]);
      return {
        value: backend.executeSingleOutput('Conv2D', attributes, [a, b]),
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
          const [savedX, savedKernel] = saved;
          const native = (): tf.Tensor[] => [
            backend.executeSingleOutput('Conv2DBackpropInput', attributes, [tf.tensor1d(savedX.shape, 'int32'), savedKernel, dy]),
            backend.executeSingleOutput('Conv2DBackpropFilter', attributes, [
              savedX,
              tf.tensor1d(savedKernel.shape, 'int32'),
              dy,
            ]),
          ];
          if (!withoutGradients.has(backend)) {
            try {
              return tf.tidy(native);
            } catch {
              withoutGradients.add(backend);
            }
          }
          const packed = (...[u, v]: tf.Tensor[]): tf.Tensor =>
            packedGroupedConv2d(u as tf.Tensor4D, v as tf.Tensor4D, groups, stride, pad);
          // A tape within the walk back along another one would leave that other one cleared.
          const { state } = tf.engine();
          const { activeTape } = state;
          const gradients = tf.grads(packed)([savedX, savedKernel], dy);
          state.activeTape = activeTape;
          return gradients;
        },
      };
    },
  );
  return convolve(x, kernel) as tf.Tensor4D;
}
