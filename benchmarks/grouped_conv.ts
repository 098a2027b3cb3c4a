import * as tf from '@tensorflow/tfjs-core';
import { groupedConv2d } from '../src/layers/grouped_conv2d.js';
import type { Bench } from './bench.js';
import { seededRandom } from './random.js';

/** A grouped 3x3 convolution of ResNeXt on a map, against one dense convolution whose kernel, made beforehand, has the groups on its diagonal. */
function groupedConv(name: string, height: number, width: number, channels: number, groups: number): Bench {
  const random = seededRandom(4);
  const noise = (length: number): Float32Array => Float32Array.from({ length }, () => random() - 0.5);
  const perGroup = channels / groups;
  const shape: [number, number, number, number] = [1, height, width, channels];
  return {
    name,
    input: `3x3, ${channels} channels in ${groups} groups, map ${height}x${width}`,
    peers: [],
    inputs: {},
    options: {},
    async prepare() {
      const x = tf.tensor4d(noise(height * width * channels), shape);
      const values = noise(9 * perGroup * channels);
      const kernel = tf.tensor4d(values, [3, 3, perGroup, channels]);
      const blocks = new Float32Array(9 * channels * channels);
      values.forEach((value, i) => {
        const out = i % channels;
        const input = Math.floor(i / channels) % perGroup;
        const tap = Math.floor(i / channels / perGroup);
        blocks[(tap * channels + Math.floor(out / perGroup) * perGroup + input) * channels + out] = value;
      });
      const dense = tf.tensor4d(blocks, [3, 3, channels, channels]);
      const finish = async (y: tf.Tensor): Promise<void> => {
        await tf.tidy(() => tf.slice(tf.reshape(y, [-1]), 0, 1)).data();
        y.dispose();
      };
      return {
        run: () => finish(groupedConv2d(x, kernel, groups, 1, 'same')),
        baseline: { description: 'one dense convolution', run: () => finish(tf.conv2d(x, dense, 1, 'same')) },
        dispose: () => tf.dispose([x, kernel, dense]),
      };
    },
  };
}

/** The grouped convolutions of ResNeXt-101 32x8d in res2, on a quarter of the map of a picture of 800 x 1216. */
export const groupedConvLarge = (): Bench => groupedConv('grouped_conv_50x76', 50, 76, 256, 32);

/** Those of res3 on a map as small as that of a picture of 104 x 152. */
export const groupedConvSmall = (): Bench => groupedConv('grouped_conv_13x19', 13, 19, 512, 32);

/** Few groups on a very small map. */
export const groupedConvFew = (): Bench => groupedConv('grouped_conv_7x7', 7, 7, 128, 2);
