import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../../errors.js';
import { registerHostKernel } from '../kernels/host_kernel.js';
import { PASTE_MASKS, type PasteMasksAttributes, WORD } from './kernel_names.js';
import { pasteMask } from './mask_paste.js';
import './paste_masks_webgl.js';
import './paste_masks_webgpu.js';

/**
 * Masks as pixels of the picture, on the device that has them: the pixels of `pasteMask`, which also names the rules. On webgpu and webgl values are
 * blended in float32, on the host in double precision: a sample within rounding of the threshold may fall on its other side.
 *
 * Results of a model do not pass through here: they hold no tensors, and pixels that one asks of them would be a read more.
 * @param masks float32 [D, M, M] probabilities
 * @param boxes [D, 4] as (x0, y0, x1, y1), pixels of the picture, on the host
 * @returns     [D, height, ceil(width / 16)] float32: whole numbers whose bit i is pixel 16 w + i of the row
 * @throws ArgumentError for masks that are not square, boxes that do not fit, a picture without pixels, or a threshold not in (0, 1]
 */
export function pasteMasks(masks: tf.Tensor3D, boxes: Float32Array, height: number, width: number, threshold = 0.5): tf.Tensor3D {
  if (masks.rank !== 3 || masks.shape[1] !== masks.shape[2] || masks.dtype !== 'float32')
    throw new ArgumentError(`pasteMasks: masks are ${masks.dtype} [${masks.shape.join(', ')}]; expected float32 [D, M, M].`);
  if (boxes.length !== 4 * masks.shape[0])
    throw new ArgumentError(`pasteMasks: ${boxes.length} box numbers for ${masks.shape[0]} masks; expected four each.`);
  if (!(Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0))
    throw new ArgumentError(`pasteMasks: the picture is ${height} x ${width}; expected positive integers.`);
  if (!(threshold > 0 && threshold <= 1))
    throw new ArgumentError(`pasteMasks: the threshold is ${threshold}; expected a number in (0, 1].`);
  const attributes: PasteMasksAttributes = { boxes, height, width, threshold };
  return tf.engine().runKernel(PASTE_MASKS, { masks }, attributes as unknown as tf.NamedAttrMap) as tf.Tensor3D;
}

/** The words of `pasteMasks`, once read, as bitmaps. @returns [D, height, width], 0 or 1 */
export function unpackMasks(words: Float32Array, height: number, width: number): Uint8Array {
  const perRow = Math.ceil(width / WORD);
  const rows = words.length / perRow;
  if (!Number.isInteger(rows / height))
    throw new ArgumentError(`unpackMasks: ${words.length} words are no masks of ${height} x ${width} pixels.`);
  const bitmaps = new Uint8Array(rows * width);
  for (let row = 0, at = 0; row < rows; row++)
    for (let x = 0; x < width; x++, at++) bitmaps[at] = (words[row * perRow + Math.floor(x / WORD)] >> (x % WORD)) & 1;
  return bitmaps;
}

registerHostKernel<PasteMasksAttributes>(PASTE_MASKS, ({ masks }, { boxes, height, width, threshold }) => {
  const [count, size] = masks.shape;
  const perRow = Math.ceil(width / WORD);
  const values = new Float32Array(count * height * perRow);
  for (let d = 0; d < count; d++) {
    const mask = masks.values.subarray(d * size * size, (d + 1) * size * size);
    const { x0, y0, x1, y1, bitmap } = pasteMask(mask, size, boxes.subarray(4 * d, 4 * d + 4), height, width, threshold);
    for (let y = y0, at = 0; y < y1; y++)
      for (let x = x0; x < x1; x++, at++)
        if (bitmap[at]) values[(d * height + y) * perRow + Math.floor(x / WORD)] += 2 ** (x % WORD);
  }
  return { shape: [count, height, perRow], values };
});
