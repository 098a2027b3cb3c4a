import * as tf from '@tensorflow/tfjs-core';
import type { Image } from '../data/image_io/pixel_formats.js';
import { fromPixels, fromTensor, type RawPixels } from '../engine/pixel_input.js';
import { ImageError } from '../errors.js';

/** What holds a picture that the browser has decoded already. */
export type DrawableImage = HTMLImageElement | HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas | ImageBitmap | VideoFrame;

/**
 * What can be predicted on: a `File` or `Blob` of an image file, its bytes, its address, an element or frame that is shown, `ImageData`,
 * raw RGB(A) pixels, or a tensor [H, W, 3] of RGB 0..255.
 */
export type ImageInput = Blob | ArrayBuffer | Uint8Array | string | URL | DrawableImage | RawPixels | tf.Tensor3D;

/** The largest picture that is read, in pixels: browsers give up on larger canvases. */
const DEFAULT_MAX_PIXELS = 2 ** 28;

/**
 * Reads any input as RGB. EXIF orientation is applied; colour profiles are ignored, as in Detectron2; transparent pixels lose their colour (canvases keep none).
 * @throws ImageError naming the input
 */
export async function readInput(input: ImageInput, options: { maxPixels?: number; signal?: AbortSignal } = {}): Promise<Image> {
  if (input instanceof tf.Tensor) return fromTensor(input);
  if (input instanceof Blob) return decode(input, nameOf(input), options.maxPixels);
  if (input instanceof ArrayBuffer || input instanceof Uint8Array)
    return decode(new Blob([input as BlobPart]), `image (${input.byteLength} bytes)`, options.maxPixels);
  if (typeof input === 'string' || input instanceof URL)
    return decode(await download(String(input), options.signal), String(input), options.maxPixels);
  if ('data' in input) return fromPixels(input);
  if (isElement(input, 'HTMLImageElement')) await (input as HTMLImageElement).decode().catch((cause) => unreadable(input, cause));
  return readDrawable(input, describeDrawable(input), options.maxPixels);
}

/** An input that can be handed to a worker. */
export interface TransferableInput {
  readonly input: Blob | ArrayBuffer | Uint8Array | string | ImageBitmap | VideoFrame | RawPixels;
  readonly transfer: Transferable[];
}

/** Gives back at once what frames and bitmaps hold. Closing one twice, or one that was handed over, does nothing. */
export function closeAll(inputs: readonly unknown[]): void {
  for (const input of inputs) if (typeof input === 'object' && input && 'close' in input) (input as ImageBitmap).close();
}

/** An input as something that a worker can be given: elements become bitmaps, everything else is passed on. */
export async function transferableInput(input: ImageInput): Promise<TransferableInput> {
  if (input instanceof tf.Tensor) {
    const { data, width, height } = await fromTensor(input);
    return { input: { data, width, height }, transfer: [data.buffer as ArrayBuffer] };
  }
  if (typeof input === 'string' || input instanceof URL) return { input: new URL(input, location.href).href, transfer: [] };
  if (input instanceof Blob || input instanceof ArrayBuffer || input instanceof Uint8Array) return { input, transfer: [] };
  if ('data' in input) return { input: { data: input.data, width: input.width, height: input.height }, transfer: [] };
  if (isElement(input, 'ImageBitmap') || isElement(input, 'VideoFrame')) {
    const frame = input as ImageBitmap | VideoFrame;
    return { input: frame, transfer: [frame] };
  }
  const size = drawableSize(input);
  if (size.width * size.height === 0) unreadable(input);
  const bitmap = await createImageBitmap(input, { colorSpaceConversion: 'none' });
  return { input: bitmap, transfer: [bitmap] };
}

async function decode(blob: Blob, name: string, maxPixels: number | undefined): Promise<Image> {
  if (blob.size === 0) throw new ImageError(`${name} is empty (0 bytes); expected an image file`);
  const bitmap = await createImageBitmap(blob, {
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
    imageOrientation: 'from-image',
  }).catch((cause: unknown) => {
    throw new ImageError(
      `${name} is not an image that this browser can read, or it is damaged; expected JPEG, PNG, WebP, AVIF or GIF`,
      {
        cause,
      },
    );
  });
  try {
    return readDrawable(bitmap, name, maxPixels);
  } finally {
    bitmap.close();
  }
}

function readDrawable(drawable: DrawableImage, name: string, maxPixels = DEFAULT_MAX_PIXELS): Image {
  const { width, height } = drawableSize(drawable);
  if (width * height === 0) unreadable(drawable);
  if (width * height > maxPixels)
    throw new ImageError(
      `${name} is too large: ${width} x ${height} = ${width * height} pixels, the limit is ${maxPixels}; make it smaller or raise maxPixels`,
    );
  const context = scratchContext(width, height);
  context.drawImage(drawable, 0, 0, width, height);
  try {
    return fromPixels(context.getImageData(0, 0, width, height));
  } catch (cause) {
    throw new ImageError(
      `${name} comes from another site, whose pixels the browser does not give away; serve it with CORS headers`,
      {
        cause,
      },
    );
  }
}

function scratchContext(width: number, height: number): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D {
  // Kept in main memory: the pixels are read at once, and a round trip over the GPU may round them.
  const settings = { willReadFrequently: true } as const;
  let context: OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D | null;
  if (typeof OffscreenCanvas === 'undefined') {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width, height });
    context = canvas.getContext('2d', settings) as CanvasRenderingContext2D | null;
  } else {
    context = new OffscreenCanvas(width, height).getContext('2d', settings);
  }
  if (!context) throw new ImageError(`The browser has no memory for a canvas of ${width} x ${height}.`);
  return context;
}

function drawableSize(drawable: DrawableImage): { width: number; height: number } {
  if (isElement(drawable, 'HTMLImageElement')) {
    const { naturalWidth, naturalHeight } = drawable as HTMLImageElement;
    return { width: naturalWidth, height: naturalHeight };
  }
  if (isElement(drawable, 'HTMLVideoElement')) {
    const { videoWidth, videoHeight } = drawable as HTMLVideoElement;
    return { width: videoWidth, height: videoHeight };
  }
  if (isElement(drawable, 'VideoFrame')) {
    const { displayWidth, displayHeight } = drawable as VideoFrame;
    return { width: displayWidth, height: displayHeight };
  }
  return drawable as { width: number; height: number };
}

/** By name, for workers lack the elements and older browsers the frames. */
function isElement(value: object, name: string): boolean {
  return value.constructor.name === name || Object.prototype.toString.call(value) === `[object ${name}]`;
}

function describeDrawable(drawable: DrawableImage): string {
  return Object.prototype.toString.call(drawable).slice(8, -1);
}

function unreadable(drawable: object, cause?: unknown): never {
  const name = Object.prototype.toString.call(drawable).slice(8, -1);
  throw new ImageError(`The ${name} shows no picture (yet); wait until it is loaded, and use it before it is closed.`, { cause });
}

function nameOf(blob: Blob): string {
  return 'name' in blob && typeof blob.name === 'string' ? `'${blob.name}'` : `image (${blob.size} bytes)`;
}

async function download(url: string, signal: AbortSignal | undefined): Promise<Blob> {
  const response = await fetch(url, signal ? { signal } : {}).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new ImageError(
      `${url} could not be fetched: ${cause instanceof Error ? cause.message : String(cause)}. Check the address, the network and CORS.`,
      { cause },
    );
  });
  if (!response.ok) throw new ImageError(`${url} answered ${response.status} ${response.statusText}; expected a picture.`);
  return response.blob();
}
