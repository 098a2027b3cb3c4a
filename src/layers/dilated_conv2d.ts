import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../errors.js';

/** Where the window of a dilated convolution goes; zeros on each side, in pixels. */
export interface DilatedGeometry {
  readonly kernelSize: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}

/**
 * A dilated convolution at stride 1 as an ordinary one: taps that are `dilation` pixels apart are neighbours in the map of every `dilation`-th pixel,
 * so each of the dilation x dilation such maps is convolved on its own, all in one batch. Every step has a gradient on every backend.
 *
 * @param x        [N, H, W, C]
 * @param convolve the convolution without padding and dilation, [M, h, w, C] to [M, h - kernelSize + 1, w - kernelSize + 1, K]
 * @returns        [N, H', W', K], H' = H + 2 padding - dilation (kernelSize - 1)
 * @throws ArgumentError for another stride
 */
export function dilatedConv2d(
  x: tf.Tensor4D,
  { kernelSize, stride, padding, dilation }: DilatedGeometry,
  convolve: (x: tf.Tensor4D) => tf.Tensor4D,
): tf.Tensor4D {
  if (stride !== 1)
    throw new ArgumentError(`A convolution has stride ${stride} and dilation ${dilation}; one of them must be 1.`);
  return tf.tidy(() => {
    const reach = dilation * (kernelSize - 1);
    // Zeros that make the sides multiples of the dilation; what they give is cut off again.
    const [below, right] = [x.shape[1], x.shape[2]].map((size) => (dilation - ((size + 2 * padding) % dilation)) % dilation);
    const [height, width] = [x.shape[1], x.shape[2]].map((size) => size + 2 * padding - reach);
    if (height < 1 || width < 1)
      throw new ArgumentError(
        `A map of ${x.shape[1]}x${x.shape[2]} is too small for a convolution of ${kernelSize}x${kernelSize}, dilation ${dilation}.`,
      );
    const block = [dilation, dilation];
    const maps = tf.spaceToBatchND(x, block, [
      [padding, padding + below],
      [padding, padding + right],
    ]);
    return tf.batchToSpaceND(convolve(maps), block, [
      [0, below],
      [0, right],
    ]);
  });
}
