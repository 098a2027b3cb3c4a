import * as tf from '@tensorflow/tfjs-core';
import type { Image } from '../data/image_io/pixel_formats.js';
import { ImageError } from '../errors.js';
import { fromPixels, fromTensor, type RawPixels } from './pixel_input.js';

export type { RawPixels } from './pixel_input.js';

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
