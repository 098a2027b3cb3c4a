import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../../errors.js';
import { registerHostKernel } from '../kernels/host_kernel.js';
import { f32, i32, runFlat, type WebGpuBackend } from '../kernels/webgpu_program.js';
import { pasteMask, pastePlaces } from './mask_paste.js';

/** Inputs: `masks` [D, M, M]; output: [D, height, ceil(width / 16)] as `pasteMasks` says. */
const PASTE_MASKS = 'PasteMasks';

/** Pixels of a word: as many bits as float32 holds exactly on every device, and a power of two. */
const WORD = 16;

interface PasteAttributes {
  readonly boxes: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly threshold: number;
}

/**
 * Masks as pixels of the picture, on the device that has them (cpu, wasm, tensorflow, webgpu): the pixels of `pasteMask`, which also names the rules. On
 * webgpu values are blended in float32, on the host in double precision: a sample within rounding of the threshold may fall on its other side.
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
  const attributes: PasteAttributes = { boxes, height, width, threshold };
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

registerHostKernel<PasteAttributes>(PASTE_MASKS, ({ masks }, { boxes, height, width, threshold }) => {
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

tf.registerKernel({
  kernelName: PASTE_MASKS,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WebGpuBackend;
    const masks = inputs.masks as tf.TensorInfo;
    const { boxes, height, width, threshold } = attrs as unknown as PasteAttributes;
    const [count, size] = masks.shape;
    const perRow = Math.ceil(width / WORD);
    const shape = [count, height, perRow];
    if (count === 0) return backend.makeTensorInfo(shape, 'float32', new Float32Array(0));
    // Where rows and columns fall in the masks is for the host to say: the GPU's division does not round as PyTorch's.
    const table = new Float32Array(count * 2 * (height + width));
    for (let d = 0; d < count; d++)
      table.set(pastePlaces(boxes.subarray(4 * d, 4 * d + 4), size, height, width), d * 2 * (height + width));
    const places = backend.makeTensorInfo([table.length], 'float32', table);
    const words = runFlat(backend, {
      key: 'pasteMasks',
      code: `
      fn valueAt(d : i32, row : i32, column : i32) -> f32 {
        if (row < 0 || column < 0 || row >= uniforms.size || column >= uniforms.size) { return 0.0; }
        return masks[(d * uniforms.size + row) * uniforms.size + column];
      }
      fn run(index : i32) {
        let y = index / uniforms.perRow % uniforms.height;
        let d = index / (uniforms.perRow * uniforms.height);
        let first = 2 * d * (uniforms.height + uniforms.width);
        let row = i32(places[first + 2 * y]);
        let down = places[first + 2 * y + 1];
        var bits = 0;
        for (var i = 0; i < ${WORD}; i++) {
          let x = index % uniforms.perRow * ${WORD} + i;
          if (x >= uniforms.width) { break; }
          let at = first + 2 * (uniforms.height + x);
          let column = i32(places[at]);
          let across = places[at + 1];
          let a = valueAt(d, row, column);
          let b = valueAt(d, row + 1, column);
          let upper = a + across * (valueAt(d, row, column + 1) - a);
          let lower = b + across * (valueAt(d, row + 1, column + 1) - b);
          if (upper + down * (lower - upper) >= uniforms.threshold) { bits |= 1 << u32(i); }
        }
        result[index] = f32(bits);
      }`,
      inputs: [
        { name: 'masks', tensor: masks },
        { name: 'places', tensor: places },
      ],
      uniforms: { size: i32(size), height: i32(height), width: i32(width), perRow: i32(perRow), threshold: f32(threshold) },
      threads: count * height * perRow,
      output: shape,
    });
    backend.disposeData(places.dataId);
    return words;
  },
});
