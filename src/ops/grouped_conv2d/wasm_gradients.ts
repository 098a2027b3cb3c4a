import * as tf from '@tensorflow/tfjs-core';
import { spread } from '../../backends/kernels/place_map.js';
import { turnFilter } from '../kernels/wasm_turn_filter.js';
import {
  GROUPED_CONV2D,
  GROUPED_CONV2D_FILTER_GRAD,
  GROUPED_CONV2D_INPUT_GRAD,
  type GroupedConvAttributes,
} from './kernel_names.js';

/** Channels of a dense gradient that stands for several groups: with fewer a product costs more than its arithmetic. */
const PACK_CHANNELS = 32;

interface Inputs {
  readonly dy: tf.Tensor4D;
  readonly x: tf.Tensor4D;
  readonly filter: tf.Tensor4D;
}

/** A grouped convolution of the spread gradient with each group's filters turned by half a circle, their inputs and outputs exchanged. */
function inputGradient({ dy, x, filter }: Inputs, { groups, stride, padding }: GroupedConvAttributes): tf.Tensor {
  const [height, width] = filter.shape;
  const turned = turnFilter(filter, groups);
  const attributes: GroupedConvAttributes = {
    groups,
    stride: 1,
    padding: [height - 1 - padding[0], width - 1 - padding[1]],
    outShape: [x.shape[1], x.shape[2]],
  };
  const maps = { x: spread(dy, stride, stride), filter: turned };
  return tf.engine().runKernel(GROUPED_CONV2D, maps, attributes as unknown as tf.NamedAttrMap) as tf.Tensor;
}

/** Some groups at a time: the dense gradient of all their inputs and outputs, of which the blocks on the diagonal are the groups' own. */
function filterGradient({ dy, x, filter }: Inputs, { groups, stride, padding: [top, left] }: GroupedConvAttributes): tf.Tensor {
  const [height, width, inputs, outs] = filter.shape;
  const perGroup = outs / groups;
  let pack = Math.min(groups, Math.max(1, Math.floor(PACK_CHANNELS / inputs)));
  while (groups % pack !== 0) pack--;
  const border = (size: number, out: number, kernel: number, before: number): [number, number] => [
    before,
    (out - 1) * stride + kernel - size - before,
  ];
  const pad = [[0, 0], border(x.shape[1], dy.shape[1], height, top), border(x.shape[2], dy.shape[2], width, left), [0, 0]];
  const attributes = { strides: stride, pad, dataFormat: 'NHWC', filterShape: [height, width, pack * inputs, pack * perGroup] };
  const parts: tf.Tensor[] = [];
  for (let first = 0; first < groups; first += pack) {
    const maps = {
      x: tf.slice(x, [0, 0, 0, first * inputs], [-1, -1, -1, pack * inputs]),
      dy: tf.slice(dy, [0, 0, 0, first * perGroup], [-1, -1, -1, pack * perGroup]),
    };
    const dense = tf.engine().runKernel('Conv2DBackpropFilter', maps, attributes as unknown as tf.NamedAttrMap) as tf.Tensor;
    for (let g = 0; g < pack; g++) parts.push(tf.slice(dense, [0, 0, g * inputs, g * perGroup], [-1, -1, inputs, perGroup]));
  }
  return parts.length === 1 ? parts[0] : tf.concat(parts, 3);
}

for (const [kernelName, gradient] of [
  [GROUPED_CONV2D_INPUT_GRAD, inputGradient],
  [GROUPED_CONV2D_FILTER_GRAD, filterGradient],
] as const) {
  tf.registerKernel({
    kernelName,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs }) =>
      tf.tidy(() => gradient(inputs as unknown as Inputs, attrs as unknown as GroupedConvAttributes)),
  });
}
