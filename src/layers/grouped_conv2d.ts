import * as tf from '@tensorflow/tfjs-core';
import { directGroupedConv2d, groupedConvWay } from '../ops/grouped_conv2d/grouped_conv2d.js';

/** Channels in and out of one dense convolution that stands for several groups; below this, one call costs more than its arithmetic. */
const PACK_CHANNELS = 32;

/** Below so many packs of so many channels, or so many products in the dense convolution, there is only one pack. */
const LEAST_PACKS = 4;
const LEAST_PRODUCTS = 8e6;

/**
 * Grouped convolution, which tfjs has not: TensorFlow's own, kernels of our own, or groups packed into dense convolutions with block-diagonal
 * kernels: into one where our kernels would take longer (`groupedConvWay`). Each has gradients.
 * @param x      [N, H, W, C]
 * @param kernel [kh, kw, C / groups, K]
 * @param blocks of the kernel, where it does not change: block-diagonal kernels are then made once
 * @returns      [N, H', W', K]
 */
export function groupedConv2d(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  groups: number,
  stride: number,
  pad: 'same' | 'valid',
  blocks?: BlockKernels,
): tf.Tensor4D {
  if (tf.getBackend() === 'tensorflow') return nativeGroupedConv2d(x, kernel, groups, stride, pad);
  const way = groupedConvWay(kernel.shape, groups);
  if (way === 'direct') return directGroupedConv2d(x, kernel, groups, stride, pad);
  const size = way === 'dense' ? groups : packSize(x, kernel, groups, stride);
  return packedGroupedConv2d(x, kernel, groups, stride, pad, size, blocks);
}

/** The block-diagonal kernels of a kernel that does not change, each made when it is first asked for; the owner disposes of them. */
export class BlockKernels {
  private readonly made = new Map<number, tf.Tensor4D>();

  constructor(
    private readonly kernel: tf.Tensor4D,
    private readonly groups: number,
  ) {}

  /** @returns [kh, kw, groupsPerPack * C / groups, K] */
  get(groupsPerPack: number): tf.Tensor4D {
    let blocks = this.made.get(groupsPerPack);
    if (!blocks) this.made.set(groupsPerPack, (blocks = tf.keep(blocksOf(this.kernel, this.groups, groupsPerPack))));
    return blocks;
  }

  dispose(): void {
    tf.dispose([...this.made.values()]);
    this.made.clear();
  }
}

/** Every group's weights below each other, then zeros where a channel is of another group than an output. */
function blocksOf(kernel: tf.Tensor4D, groups: number, groupsPerPack: number): tf.Tensor4D {
  const [, , inPerGroup, outChannels] = kernel.shape;
  return tf.tidy(() => {
    const mask = tf.tensor2d(blockDiagonal(groupsPerPack, inPerGroup, outChannels, outChannels / groups), [
      groupsPerPack * inPerGroup,
      outChannels,
    ]);
    return tf.mul<tf.Tensor4D>(tf.tile(kernel, [1, 1, groupsPerPack, 1]), mask);
  });
}

/** Grouped convolution as dense ones of `groupsPerPack` groups each, a divisor of `groups`. */
function packedGroupedConv2d(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  groups: number,
  stride: number,
  pad: 'same' | 'valid',
  groupsPerPack: number,
  frozen?: BlockKernels,
): tf.Tensor4D {
  const [, , inPerGroup, outChannels] = kernel.shape;
  const channels = groupsPerPack * inPerGroup;
  const outs = (groupsPerPack * outChannels) / groups;
  return tf.tidy(() => {
    const blocks = frozen?.get(groupsPerPack) ?? blocksOf(kernel, groups, groupsPerPack);
    if (groupsPerPack === groups) return tf.conv2d(x, blocks, stride, pad);
    const packs: tf.Tensor4D[] = [];
    for (let pack = 0; pack < groups / groupsPerPack; pack++) {
      const part = tf.slice(x, [0, 0, 0, pack * channels], [-1, -1, -1, channels]);
      packs.push(tf.conv2d(part, tf.slice(blocks, [0, 0, 0, pack * outs], [-1, -1, -1, outs]), stride, pad));
    }
    return tf.concat(packs, 3);
  });
}

/** How many groups one dense convolution stands for; all of them where cutting the map up would take longer than the zeros do. */
function packSize(x: tf.Tensor4D, kernel: tf.Tensor4D, groups: number, stride: number): number {
  const [kh, kw, inPerGroup, outChannels] = kernel.shape;
  const [images, height, width, channels] = x.shape;
  let groupsPerPack = Math.min(groups, Math.max(1, Math.floor(PACK_CHANNELS / inPerGroup)));
  while (groups % groupsPerPack !== 0) groupsPerPack--;
  const products = ((images * height * width) / stride ** 2) * kh * kw * channels * outChannels;
  const fewAndSmall = groups / groupsPerPack < LEAST_PACKS && channels <= LEAST_PACKS * PACK_CHANNELS;
  return fewAndSmall || products < LEAST_PRODUCTS ? groups : groupsPerPack;
}

/** [G * inPerGroup, K]: 1 where the row's group within its pack is the column's, else 0. */
function blockDiagonal(groupsPerPack: number, inPerGroup: number, outChannels: number, outPerGroup: number): Float32Array {
  const mask = new Float32Array(groupsPerPack * inPerGroup * outChannels);
  for (let i = 0; i < mask.length; i++) {
    const group = Math.floor((i % outChannels) / outPerGroup) % groupsPerPack;
    if (Math.floor(Math.floor(i / outChannels) / inPerGroup) === group) mask[i] = 1;
  }
  return mask;
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
          const size = packSize(savedX as tf.Tensor4D, savedKernel as tf.Tensor4D, groups, stride);
          const packed = (...[u, v]: tf.Tensor[]): tf.Tensor =>
            packedGroupedConv2d(u as tf.Tensor4D, v as tf.Tensor4D, groups, stride, pad, size);
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
