import { ArgumentError } from '../../errors.js';

/**
 * PyTorch's `interpolate(mode='bilinear', align_corners=False)` without antialias, which Detectron2 uses for float pictures:
 * pixel centres at a half, borders repeated, float32 arithmetic.
 * @param image float32 [height, width, channels]
 * @returns float32 [height, width, channels] of the new size
 * @throws ArgumentError for a size that is not a positive integer
 */
export function resizeBilinearFloat(
  image: { data: Float32Array; height: number; width: number; channels: number },
  height: number,
  width: number,
): Float32Array {
  if (!(Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0))
    throw new ArgumentError(`resize: the new size must be positive integers, not ${height} x ${width}`);
  const { data, channels } = image;
  const rows = taps(image.height, height);
  const columns = taps(image.width, width);
  const out = new Float32Array(height * width * channels);
  let o = 0;
  for (let y = 0; y < height; y++) {
    const top = rows.first[y] * image.width;
    const bottom = rows.second[y] * image.width;
    const wy = rows.weight[y];
    for (let x = 0; x < width; x++) {
      const left = columns.first[x];
      const right = columns.second[x];
      const wx = columns.weight[x];
      for (let c = 0; c < channels; c++) {
        const upper = (1 - wx) * data[(top + left) * channels + c] + wx * data[(top + right) * channels + c];
        const lower = (1 - wx) * data[(bottom + left) * channels + c] + wx * data[(bottom + right) * channels + c];
        out[o++] = (1 - wy) * upper + wy * lower;
      }
    }
  }
  return out;
}

function taps(inputSize: number, outputSize: number): { first: Int32Array; second: Int32Array; weight: Float32Array } {
  const scale = Math.fround(inputSize / outputSize);
  const first = new Int32Array(outputSize);
  const second = new Int32Array(outputSize);
  const weight = new Float32Array(outputSize);
  for (let i = 0; i < outputSize; i++) {
    const position = Math.max(0, Math.fround(Math.fround(scale * (i + 0.5)) - 0.5));
    first[i] = Math.min(Math.floor(position), inputSize - 1);
    second[i] = Math.min(first[i] + 1, inputSize - 1);
    weight[i] = position - first[i];
  }
  return { first, second, weight };
}
