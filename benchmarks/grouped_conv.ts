import * as tf from '@tensorflow/tfjs-core';
import { BlockKernels, groupedConv2d } from '../src/layers/grouped_conv2d.js';
import type { Bench } from './bench.js';
import { seededRandom } from './random.js';

/**
 * A grouped convolution of stride 1 on a map, of `size` x `size`, against one dense convolution whose kernel, made beforehand, has the groups on its diagonal.
 * In inference ours may be that same one, and then has it beforehand too.
 */
function groupedConv(
  name: string,
  height: number,
  width: number,
  channels: number,
  groups: number,
  size: number,
  train: boolean,
): Bench {
  const random = seededRandom(4);
  const noise = (length: number): Float32Array => Float32Array.from({ length }, () => random() - 0.5);
  const perGroup = channels / groups;
  const shape: [number, number, number, number] = [1, height, width, channels];
  return {
    name,
    input: `${size}x${size}, ${channels} channels in ${groups} groups, map ${height}x${width}${train ? ', with both gradients' : ''}`,
    peers: [],
    inputs: {},
    options: {},
    async prepare() {
      const x = tf.tensor4d(noise(height * width * channels), shape);
      const values = noise(size ** 2 * perGroup * channels);
      const kernel = tf.tensor4d(values, [size, size, perGroup, channels]);
      const blocks = new Float32Array(size ** 2 * channels * channels);
      values.forEach((value, i) => {
        const out = i % channels;
        const input = Math.floor(i / channels) % perGroup;
        const tap = Math.floor(i / channels / perGroup);
        blocks[(tap * channels + Math.floor(out / perGroup) * perGroup + input) * channels + out] = value;
      });
      const dense = tf.tensor4d(blocks, [size, size, channels, channels]);
      const frozen = new BlockKernels(kernel, groups);
      const ours = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
        groupedConv2d(a as tf.Tensor4D, b as tf.Tensor4D, groups, 1, 'same', train ? undefined : frozen);
      const other = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same');
      const step = (convolve: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, filter: tf.Tensor4D): tf.Tensor => {
        if (!train) return convolve(x, filter);
        return tf.tidy(() => tf.grads(convolve)([x, filter], x)[1]);
      };
      const finish = async (y: tf.Tensor): Promise<void> => {
        await tf.tidy(() => tf.slice(tf.reshape(y, [-1]), 0, 1)).data();
        y.dispose();
      };
      return {
        run: () => finish(step(ours, kernel)),
        baseline: { description: 'one dense convolution', run: () => finish(step(other, dense)) },
        dispose: () => {
          frozen.dispose();
          tf.dispose([x, kernel, dense]);
        },
      };
    },
  };
}

/**
 * Heights, widths, channels, groups and the filter's side by name: ResNeXt-101 32x8d in res2 on a quarter of a picture of 800 x 1216 and in res3 on one of
 * 104 x 152; few groups, also on the smallest maps and in 1x1 filters.
 */
const SIZES: Record<string, [number, number, number, number, number]> = {
  grouped_conv_50x76: [50, 76, 256, 32, 3],
  grouped_conv_50x76_2: [50, 76, 256, 2, 3],
  grouped_conv_13x19: [13, 19, 512, 32, 3],
  grouped_conv_7x7: [7, 7, 128, 2, 3],
  grouped_conv_3x3_2: [3, 3, 512, 2, 3],
  grouped_conv_3x3_4: [3, 3, 512, 4, 3],
  grouped_conv_1x1_2: [1, 1, 512, 2, 3],
  grouped_conv_pointwise_2: [50, 76, 256, 2, 1],
};

/** Each convolution alone and, under its name with `_train`, with both gradients. */
export const GROUPED_CONVS: Record<string, () => Bench> = Object.fromEntries(
  Object.entries(SIZES).flatMap(([name, sizes]) => [
    [name, () => groupedConv(name, ...sizes, false)],
    [`${name}_train`, () => groupedConv(`${name}_train`, ...sizes, true)],
  ]),
);
