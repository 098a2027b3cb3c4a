import { ArgumentError } from '../../errors.js';
import { resizeOnKernels } from './resize_kernels.js';
import { PRECISION_BITS, triangleWeights, type Weights } from './triangle_weights.js';

/** Samples of a picture, [height, width, channels] interleaved. */
export interface PixelArray {
  data: Uint8Array;
  height: number;
  width: number;
  channels: number;
}

/**
 * The output shape of Detectron2's `ResizeShortestEdge`: the short side becomes `shortEdge` unless the long side would exceed `maxSize`.
 * @returns [height, width] in pixels
 */
export function resizeShortestEdgeShape(height: number, width: number, shortEdge: number, maxSize: number): [number, number] {
  const scale = shortEdge / Math.min(height, width);
  let newHeight = height < width ? shortEdge : scale * height;
  let newWidth = height < width ? scale * width : shortEdge;
  // The limit is applied to the unrounded sizes; rounding comes last.
  if (Math.max(newHeight, newWidth) > maxSize) {
    const shrink = maxSize / Math.max(newHeight, newWidth);
    newHeight *= shrink;
    newWidth *= shrink;
  }
  return [Math.floor(newHeight + 0.5), Math.floor(newWidth + 0.5)];
}

/**
 * Pillow's `resize(..., BILINEAR)` on 8-bit samples, equal to the bit: a triangle filter that widens when shrinking (antialias),
 * 22-bit fixed-point weights, first along x, then along y with 8-bit samples in between; an axis that keeps its size is not touched.
 * @param image uint8 [height, width, channels]
 * @returns uint8 [height, width, channels] of the new size; a copy when the size is unchanged
 * @throws ArgumentError for a size that is not a positive integer, or data that does not fit its shape
 */
export function resizeBilinear(image: PixelArray, height: number, width: number): Uint8Array {
  checkImage(image, height, width);
  const { channels } = image;
  const fast = resizeOnKernels(image, height, width);
  if (fast) return fast;
  let { data } = image;
  if (width !== image.width) {
    data = resizeRows(data, image.height, image.width, channels, width);
  }
  if (height !== image.height) {
    data = resizeColumns(data, width * channels, triangleWeights(image.height, height), height);
  }
  return data === image.data ? data.slice() : data;
}

/**
 * Pillow's `resize(..., NEAREST)`, which Detectron2 uses for 8-bit label maps: output pixel i takes input pixel floor((i + 0.5) * scale),
 * where (i + 0.5) * scale is summed up step by step.
 * @param image uint8 [height, width, channels]
 */
export function resizeNearest(image: PixelArray, height: number, width: number): Uint8Array {
  checkImage(image, height, width);
  const columns = nearestIndices(image.width, width);
  const rows = nearestIndices(image.height, height);
  return gather(image.data, image, rows, columns, new Uint8Array(height * width * image.channels));
}

/** Typed arrays that label maps other than 8-bit ones come in. */
export type LabelArray = Int32Array | Int16Array | Uint16Array | Uint32Array | Float32Array | Float64Array;

/**
 * PyTorch's `interpolate(mode='nearest')`, which Detectron2 uses for label maps that are not 8-bit: output pixel i takes floor(i * scale), in float32.
 * @param labels [height, width], any type but uint8 (that one follows Pillow: `resizeNearest`)
 */
export function resizeNearestLabels<T extends LabelArray>(
  labels: { data: T; height: number; width: number },
  height: number,
  width: number,
): T {
  const source = { ...labels, channels: 1 };
  checkImage(source, height, width);
  const columns = torchNearestIndices(labels.width, width);
  const rows = torchNearestIndices(labels.height, height);
  const Type = labels.data.constructor as new (length: number) => T;
  return gather(labels.data, source, rows, columns, new Type(height * width));
}

function checkImage(
  image: { data: { length: number }; height: number; width: number; channels: number },
  height: number,
  width: number,
): void {
  if (!(Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0)) {
    throw new ArgumentError(`resize: the new size must be positive integers, not ${height} x ${width}`);
  }
  const expected = image.height * image.width * image.channels;
  if (image.data.length !== expected || expected === 0) {
    throw new ArgumentError(
      `resize: ${image.data.length} samples do not make an image of ${image.height} x ${image.width} x ${image.channels} (height x width x channels)`,
    );
  }
}

// No clipping below: the weights are not negative and add up to 1 within rounding, so a sum of 8-bit samples stays inside 0..255 and 32 bits.

function resizeRows(data: Uint8Array, height: number, inputWidth: number, channels: number, width: number): Uint8Array {
  const weights = triangleWeights(inputWidth, width);
  const out = new Uint8Array(height * width * channels);
  // Pictures in colour go two rows at a time: a weight is loaded once for six sums (about an eighth less time).
  const pairs = channels === 3 ? height >> 1 : 0;
  for (let pair = 0; pair < pairs; pair++) resizeTwoColourRows(data, pair * 2, inputWidth, weights, out, width);
  for (let y = pairs * 2; y < height; y++) resizeRow(data, y, inputWidth, channels, weights, out, width);
  return out;
}

function resizeTwoColourRows(
  data: Uint8Array,
  y: number,
  inputWidth: number,
  { starts, lengths, values, stride }: Weights,
  out: Uint8Array,
  width: number,
): void {
  const half = 1 << (PRECISION_BITS - 1);
  const inputRow = inputWidth * 3;
  const outputRow = width * 3;
  let o = y * outputRow;
  for (let x = 0; x < width; x++, o += 3) {
    let k = x * stride;
    const end = k + lengths[x];
    let s = y * inputRow + starts[x] * 3;
    let a = half;
    let b = half;
    let c = half;
    let d = half;
    let e = half;
    let f = half;
    for (; k < end; k++, s += 3) {
      const weight = values[k];
      const t = s + inputRow;
      a = (a + Math.imul(data[s], weight)) | 0;
      b = (b + Math.imul(data[s + 1], weight)) | 0;
      c = (c + Math.imul(data[s + 2], weight)) | 0;
      d = (d + Math.imul(data[t], weight)) | 0;
      e = (e + Math.imul(data[t + 1], weight)) | 0;
      f = (f + Math.imul(data[t + 2], weight)) | 0;
    }
    out[o] = a >> PRECISION_BITS;
    out[o + 1] = b >> PRECISION_BITS;
    out[o + 2] = c >> PRECISION_BITS;
    out[o + outputRow] = d >> PRECISION_BITS;
    out[o + outputRow + 1] = e >> PRECISION_BITS;
    out[o + outputRow + 2] = f >> PRECISION_BITS;
  }
}

function resizeRow(
  data: Uint8Array,
  y: number,
  inputWidth: number,
  channels: number,
  { starts, lengths, values, stride }: Weights,
  out: Uint8Array,
  width: number,
): void {
  let o = y * width * channels;
  for (let x = 0; x < width; x++) {
    const first = x * stride;
    const end = first + lengths[x];
    const start = (y * inputWidth + starts[x]) * channels;
    for (let channel = 0; channel < channels; channel++) {
      let sum = 1 << (PRECISION_BITS - 1);
      for (let k = first, s = start + channel; k < end; k++, s += channels) sum = (sum + Math.imul(data[s], values[k])) | 0;
      out[o++] = sum >> PRECISION_BITS;
    }
  }
}

function resizeColumns(data: Uint8Array, rowLength: number, weights: Weights, height: number): Uint8Array {
  const { starts, lengths, values, stride } = weights;
  const out = new Uint8Array(height * rowLength);
  const sums = new Int32Array(rowLength);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let k = 0; k < lengths[y]; k++) {
      const weight = values[y * stride + k];
      const start = (starts[y] + k) * rowLength;
      for (let x = 0; x < rowLength; x++) sums[x] += Math.imul(data[start + x], weight);
    }
    const start = y * rowLength;
    for (let x = 0; x < rowLength; x++) out[start + x] = sums[x] >> PRECISION_BITS;
  }
  return out;
}

function nearestIndices(inputSize: number, outputSize: number): Int32Array {
  const scale = inputSize / outputSize;
  // Pillow adds the scale up; where places fall on a pixel's border, its rounding errors decide.
  let place = scale * 0.5;
  return Int32Array.from({ length: outputSize }, () => {
    const index = Math.min(Math.floor(place), inputSize - 1);
    place += scale;
    return index;
  });
}

function torchNearestIndices(inputSize: number, outputSize: number): Int32Array {
  const scale = Math.fround(inputSize / outputSize);
  return Int32Array.from({ length: outputSize }, (_, i) => Math.min(Math.floor(Math.fround(i * scale)), inputSize - 1));
}

function gather<T extends Uint8Array | LabelArray>(
  data: T,
  { width, channels }: { width: number; channels: number },
  rows: Int32Array,
  columns: Int32Array,
  out: T,
): T {
  let o = 0;
  for (const row of rows) {
    for (const column of columns) {
      const s = (row * width + column) * channels;
      for (let c = 0; c < channels; c++) out[o++] = data[s + c];
    }
  }
  return out;
}
