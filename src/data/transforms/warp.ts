import { roundHalfEven } from './rounding.js';
import { like, type Picture, type Raster, type Samples } from './transform.js';

/** [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f. */
export type Affine = [number, number, number, number, number, number];

/** The matrix that undoes one. */
export function invertAffine([a, b, c, d, e, f]: Affine): Affine {
  const determinant = a * e - b * d;
  const scale = determinant === 0 ? 0 : 1 / determinant;
  const [p, q, r, s] = [e * scale, -b * scale, -d * scale, a * scale];
  return [p, q, -p * c - q * f, r, s, -r * c - s * f];
}

/** OpenCV's fixed-point places: 10 bits of fraction, of which bilinear weights keep 5. */
const PLACE_BITS = 10;
const WEIGHT_BITS = 5;

/**
 * OpenCV's `warpAffine` with bilinear interpolation and a black border: places in 1/32 pixel.
 * @param back matrix from new pixel numbers to old ones
 */
export function warpBilinear(image: Picture, back: Affine, height: number, width: number): Picture {
  const { data, channels } = image;
  const out = like(data, height * width * channels);
  const rounds = data instanceof Uint8Array;
  const steps = columnSteps(back, width);
  const half = 1 << (PLACE_BITS - WEIGHT_BITS - 1);
  const mask = (1 << WEIGHT_BITS) - 1;
  const unit = 1 << WEIGHT_BITS;
  let o = 0;
  for (let y = 0; y < height; y++) {
    const rowX = place(back[1] * y + back[2]) + half;
    const rowY = place(back[4] * y + back[5]) + half;
    for (let x = 0; x < width; x++) {
      const fixedX = (rowX + steps.x[x]) >> (PLACE_BITS - WEIGHT_BITS);
      const fixedY = (rowY + steps.y[x]) >> (PLACE_BITS - WEIGHT_BITS);
      const left = fixedX >> WEIGHT_BITS;
      const top = fixedY >> WEIGHT_BITS;
      const wx = fixedX & mask;
      const wy = fixedY & mask;
      for (let c = 0; c < channels; c++) {
        const sum =
          (unit - wy) * ((unit - wx) * sample(image, top, left, c) + wx * sample(image, top, left + 1, c)) +
          wy * ((unit - wx) * sample(image, top + 1, left, c) + wx * sample(image, top + 1, left + 1, c));
        const value = sum / (unit * unit);
        out[o++] = rounds ? Math.floor(value + 0.5) : value;
      }
    }
  }
  return { data: out, height, width, channels };
}

/** The same with the nearest sample. */
export function warpNearest<T extends Samples>(labels: Raster<T>, back: Affine, height: number, width: number): Raster<T> {
  const { channels } = labels;
  const out = like(labels.data, height * width * channels);
  const steps = columnSteps(back, width);
  const half = 1 << (PLACE_BITS - 1);
  let o = 0;
  for (let y = 0; y < height; y++) {
    const rowX = place(back[1] * y + back[2]) + half;
    const rowY = place(back[4] * y + back[5]) + half;
    for (let x = 0; x < width; x++) {
      const column = (rowX + steps.x[x]) >> PLACE_BITS;
      const row = (rowY + steps.y[x]) >> PLACE_BITS;
      for (let c = 0; c < channels; c++) out[o++] = sample(labels, row, column, c);
    }
  }
  return { data: out, height, width, channels };
}

function sample(raster: Raster, row: number, column: number, channel: number): number {
  if (row < 0 || column < 0 || row >= raster.height || column >= raster.width) return 0;
  return raster.data[(row * raster.width + column) * raster.channels + channel];
}

function place(value: number): number {
  return roundHalfEven(value * (1 << PLACE_BITS));
}

function columnSteps(back: Affine, width: number): { x: Int32Array; y: Int32Array } {
  return {
    x: Int32Array.from({ length: width }, (_, x) => place(back[0] * x)),
    y: Int32Array.from({ length: width }, (_, x) => place(back[3] * x)),
  };
}
