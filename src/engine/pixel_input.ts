import type * as tf from '@tensorflow/tfjs-core';
import type { Image } from '../data/image_io/pixel_formats.js';
import { ArgumentError } from '../errors.js';

/** Pixels that lie in memory: RGB or RGBA, interleaved, 8 bits a sample. `ImageData` is one. */
export interface RawPixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** Raw pixels as RGB; alpha is dropped. */
export function fromPixels({ data, width, height }: RawPixels): Image {
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

/** A tensor [H, W, 3] of RGB 0..255, clamped and rounded to bytes. */
export async function fromTensor(tensor: tf.Tensor): Promise<Image> {
  const [height, width, channels] = tensor.shape;
  if (tensor.rank !== 3 || channels !== 3)
    throw new ArgumentError(`An image tensor has shape [${tensor.shape.join(', ')}]; expected [H, W, 3], RGB from 0 to 255.`);
  return { data: Uint8Array.from(Uint8ClampedArray.from(await tensor.data())), height, width, channels: 3, format: 'RGB' };
}

/** The same picture with red and blue exchanged, as models trained on BGR take it. @param swapped where it goes; may be `data` itself */
export function swapRedBlue(data: Uint8Array, swapped: Uint8Array = new Uint8Array(data.length)): Uint8Array {
  for (let i = 0; i < data.length; i += 3) {
    const red = data[i];
    swapped[i] = data[i + 2];
    swapped[i + 1] = data[i + 1];
    swapped[i + 2] = red;
  }
  return swapped;
}
