import { decode } from 'fast-png';
import { ImageError } from '../../errors.js';
import type { StoredSamples } from './read_image.js';

/**
 * The palette indices, the single bits, or the gray and alpha of a PNG: what a decoder of colours does not give.
 * @param orientation EXIF's, 1 to 8
 */
export function decodeStoredPng(bytes: Uint8Array, name: string, orientation: number): StoredSamples {
  let png: ReturnType<typeof decode>;
  try {
    png = decode(bytes);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new ImageError(`${name} is damaged or cut short: ${text}; copy or download it again`, { cause });
  }
  const { width, height, depth, channels } = png;
  const samples =
    depth === 8
      ? Uint8Array.from(png.data)
      : depth === 16
        ? Uint8Array.from(png.data, (v) => v >> 8)
        : unpack(png.data, width, height, depth);
  return orient(samples, height, width, channels, orientation);
}

/** Samples of fewer than 8 bits lie side by side in bytes, each row beginning with a new one. */
function unpack(data: ArrayLike<number>, width: number, height: number, depth: number): Uint8Array {
  const perByte = 8 / depth;
  const rowBytes = Math.ceil(width / perByte);
  const mask = (1 << depth) - 1;
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const byte = data[y * rowBytes + Math.floor(x / perByte)];
      out[y * width + x] = (byte >> (8 - depth * ((x % perByte) + 1))) & mask;
    }
  }
  return out;
}

function orient(samples: Uint8Array, height: number, width: number, channels: number, orientation: number): StoredSamples {
  if (orientation <= 1 || orientation > 8) return { data: samples, height, width, channels };
  const turned = orientation >= 5;
  const [outHeight, outWidth] = turned ? [width, height] : [height, width];
  const mirrorX = [2, 3, 6, 7].includes(orientation);
  const mirrorY = [3, 4, 7, 8].includes(orientation);
  const data = new Uint8Array(samples.length);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const u = mirrorX ? outWidth - 1 - x : x;
      const v = mirrorY ? outHeight - 1 - y : y;
      const from = (turned ? u * width + v : v * width + u) * channels;
      for (let c = 0; c < channels; c++) data[(y * outWidth + x) * channels + c] = samples[from + c];
    }
  }
  return { data, height: outHeight, width: outWidth, channels };
}
