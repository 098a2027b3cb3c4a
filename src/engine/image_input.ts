import * as tf from '@tensorflow/tfjs-core';
import type { Image } from '../data/image_io/pixel_formats.js';
import { ArgumentError, ImageError } from '../errors.js';

/** Pixels that lie in memory: RGB or RGBA, interleaved, 8 bits a sample. `ImageData` is one. */
export interface RawPixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** What can be predicted on: a path, an http(s) or file URL, the bytes of an image file, raw RGB(A) pixels, or a tensor [H, W, 3] of RGB 0..255. */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | RawPixels | tf.Tensor3D;

/** Reads any input as RGB. @throws ImageError or ArgumentError naming the input */
export async function readInput(input: ImageInput, options: { maxPixels?: number; signal?: AbortSignal } = {}): Promise<Image> {
  if (input instanceof tf.Tensor) return fromTensor(input);
  if (input instanceof ArrayBuffer) return decode(new Uint8Array(input), options.maxPixels);
  if (input instanceof Uint8Array) return decode(input, options.maxPixels);
  if (typeof input === 'object' && 'data' in input) return fromPixels(input);
  const text = String(input);
  if (/^https?:/.test(text)) return decode(await download(text, options.signal), options.maxPixels);
  if (text.startsWith('data:')) return decode(new Uint8Array(await (await fetch(text)).arrayBuffer()), options.maxPixels);
  if (text.startsWith('file:')) {
    const { fileURLToPath } = await import('node:url');
    return decode(fileURLToPath(text), options.maxPixels);
  }
  return decode(text, options.maxPixels);
}

async function decode(source: string | Uint8Array, maxPixels: number | undefined): Promise<Image> {
  // Loaded on first use: decoding is native code that a program with pixels in hand does not need.
  const { readImage } = await import('../data/image_io/read_image.js');
  return readImage(source, { format: 'RGB', ...(maxPixels === undefined ? {} : { maxPixels }) });
}

async function download(url: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const response = await fetch(url, signal ? { signal } : {}).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new ImageError(
      `${url} could not be fetched: ${cause instanceof Error ? cause.message : String(cause)}. Check the address and the network.`,
      { cause },
    );
  });
  if (!response.ok) throw new ImageError(`${url} answered ${response.status} ${response.statusText}; expected a picture.`);
  return new Uint8Array(await response.arrayBuffer());
}

function fromPixels({ data, width, height }: RawPixels): Image {
  const channels = data.length / (width * height);
  if (channels !== 3 && channels !== 4) {
    throw new ArgumentError(
      `Pixels of ${width}x${height} have ${data.length} samples; expected ${width * height * 3} (RGB) or ${width * height * 4} (RGBA).`,
    );
  }
  if (channels === 3)
    return { data: new Uint8Array(data.buffer, data.byteOffset, data.length), height, width, channels: 3, format: 'RGB' };
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return { data: rgb, height, width, channels: 3, format: 'RGB' };
}

async function fromTensor(tensor: tf.Tensor): Promise<Image> {
  const [height, width, channels] = tensor.shape;
  if (tensor.rank !== 3 || channels !== 3)
    throw new ArgumentError(`An image tensor has shape [${tensor.shape.join(', ')}]; expected [H, W, 3], RGB from 0 to 255.`);
  return { data: Uint8Array.from(Uint8ClampedArray.from(await tensor.data())), height, width, channels: 3, format: 'RGB' };
}

/** The same picture with red and blue exchanged, as models trained on BGR take it. */
export function swapRedBlue(data: Uint8Array): Uint8Array {
  const swapped = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    swapped[i] = data[i + 2];
    swapped[i + 1] = data[i + 1];
    swapped[i + 2] = data[i];
  }
  return swapped;
}
