import type { Metadata, Sharp } from 'sharp';
import { ArgumentError, ImageError } from '../../errors.js';
import { cmykToRgb, firstSamples, narrowSamples, orderSamples } from './pixel_formats.js';
import type { Image, ImageFormat } from './pixel_formats.js';

export type { Image, ImageFormat } from './pixel_formats.js';

/** Pillow's own limit (twice `MAX_IMAGE_PIXELS`), beyond which it calls a file a decompression bomb. */
export const DEFAULT_MAX_PIXELS = 178_956_970;

/** The containers that `readImage` accepts, by sharp's name for them. */
const FORMATS = new Map([
  ['jpeg', 'JPEG'],
  ['png', 'PNG'],
  ['webp', 'WebP'],
  ['heif', 'AVIF'],
  ['gif', 'GIF'],
  ['tiff', 'TIFF'],
]);
const KNOWN = [...FORMATS.values()].join(', ');

export interface ReadImageOptions {
  /** Order of the samples; `RGB` unless told. */
  format?: ImageFormat;
  /** Largest width x height that is decoded. Guards against files that unpack to gigabytes. */
  maxPixels?: number;
}

/**
 * Reads a picture as Detectron2's `read_image` does: EXIF orientation applied, alpha and palette transparency dropped (not composited),
 * 16-bit gray clipped to 255, other 16-bit samples cut to their high byte, CMYK converted without a profile, colour profiles ignored.
 * @param source a path, or the bytes of a JPEG, PNG, WebP, AVIF, GIF (first frame) or TIFF file
 * @returns uint8 samples [height, width, channels]
 * @throws ImageError that names the file, when it is missing, empty, cut short, no picture, of an unknown kind, or larger than `maxPixels`
 */
export async function readImage(source: string | Uint8Array, options: ReadImageOptions = {}): Promise<Image> {
  const format = options.format ?? 'RGB';
  if (!['BGR', 'RGB', 'L'].includes(format)) {
    throw new ArgumentError(`readImage: unknown format '${String(format)}'; expected 'BGR', 'RGB' or 'L'`);
  }
  const { decoded, loneGray, cmyk } = await decodeChecked(await openImage(source, options));
  let samples = decoded.samples instanceof Uint16Array ? narrowSamples(decoded.samples, loneGray) : decoded.samples;
  let stride = decoded.channels;
  if (cmyk) {
    samples = cmykToRgb(samples);
    stride = 3;
  }
  return {
    data: orderSamples(samples, stride, stride < 3, format),
    height: decoded.height,
    width: decoded.width,
    channels: format === 'L' ? 1 : 3,
    format,
  };
}

/**
 * The size that `readImage` would give, from the file's header alone: damage behind it is not seen.
 * @throws ImageError as `readImage` where there is no header to read
 */
export async function readImageSize(path: string): Promise<{ readonly height: number; readonly width: number }> {
  const sharp = await loadSharp();
  const metadata = await sharp(path, { limitInputPixels: false, pages: 1 })
    .metadata()
    .catch(() => undefined);
  // What is not read so is read whole, which says why.
  if (!metadata || !FORMATS.has(metadata.format)) return readImage(path);
  return { height: metadata.autoOrient.height, width: metadata.autoOrient.width };
}

/** A picture as its file stores it: palette indices, 16-bit gray, alpha and ink included. */
export interface StoredSamples {
  /** [height, width, channels] interleaved; 16 bits for gray files that have them. */
  readonly data: Uint8Array | Uint16Array;
  readonly height: number;
  readonly width: number;
  /** 1 gray, palette index or bit; 2 gray and alpha; 3 RGB; 4 RGB and alpha, or CMYK (0 is no ink). */
  readonly channels: number;
}

/**
 * Reads a picture without converting it, as Detectron2's `read_image` does when no format is given: what label maps need.
 * EXIF orientation is applied; 16-bit colour keeps its high byte; a colour key is dropped.
 * @param source as for `readImage`, with the same errors
 */
export async function readStoredSamples(
  source: string | Uint8Array,
  options: Pick<ReadImageOptions, 'maxPixels'> = {},
): Promise<StoredSamples> {
  const opened = await openImage(source, options);
  const { bytes, metadata, name } = opened;
  const colourType = metadata.format === 'png' ? bytes[PNG_COLOUR_TYPE] : undefined;
  if (colourType === 3 || colourType === 4 || (colourType === 0 && bytes[PNG_BIT_DEPTH] === 1)) {
    const { decodeStoredPng } = await import('./stored_png.js');
    return decodeStoredPng(bytes, name, metadata.orientation ?? 1);
  }
  const { decoded, loneGray, cmyk } = await decodeChecked(opened);
  const { height, width, channels } = decoded;
  const wide = decoded.samples instanceof Uint16Array;
  const data = wide && !loneGray ? narrowSamples(decoded.samples as Uint16Array, false) : decoded.samples;
  const stored = colourType === 0 ? 1 : colourType === 2 ? 3 : cmyk ? 4 : channels;
  return { data: stored === channels ? data : firstSamples(data, channels, stored), height, width, channels: stored };
}

/** Where a PNG's header says how its samples are to be read. */
const PNG_BIT_DEPTH = 24;
const PNG_COLOUR_TYPE = 25;

interface OpenedImage {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata;
  readonly open: () => Sharp;
}

/** Reads the bytes and the header, and checks kind and size. */
async function openImage(
  source: string | Uint8Array,
  { maxPixels = DEFAULT_MAX_PIXELS }: ReadImageOptions,
): Promise<OpenedImage> {
  if (!(maxPixels > 0)) throw new ArgumentError(`readImage: maxPixels must be a positive number, not ${maxPixels}`);
  const name = typeof source === 'string' ? `'${source}'` : `image (${source.byteLength} bytes)`;
  const bytes = typeof source === 'string' ? await readBytes(source, name) : source;
  if (bytes.byteLength === 0) throw new ImageError(`${name} is empty (0 bytes); expected a ${KNOWN} file`);

  const sharp = await loadSharp();
  // The pixel limit is checked by hand below, for a message that says what to do; colour profiles are ignored as Pillow ignores them.
  const open = () => sharp(bytes, { limitInputPixels: false, failOn: 'error', ignoreIcc: true, pages: 1 });
  const metadata = await open()
    .metadata()
    .catch((cause: unknown) => {
      throw new ImageError(describeUnreadable(name, bytes, cause), { cause });
    });
  if (!FORMATS.has(metadata.format)) {
    throw new ImageError(`${name} is a ${metadata.format} file, which is not read here; expected ${KNOWN}`);
  }
  const { width, height } = metadata;
  if (width * height > maxPixels) {
    throw new ImageError(
      `${name} is too large: ${width} x ${height} = ${width * height} pixels, the limit is ${maxPixels}; make it smaller or raise maxPixels`,
    );
  }
  return { name, bytes, metadata, open };
}

interface CheckedImage {
  readonly decoded: Decoded;
  /** A gray picture without alpha. */
  readonly loneGray: boolean;
  readonly cmyk: boolean;
}

async function decodeChecked({ name, bytes, metadata, open }: OpenedImage): Promise<CheckedImage> {
  const pngColourType = metadata.format === 'png' ? bytes[PNG_COLOUR_TYPE] : undefined;
  const wide = metadata.depth === 'ushort';
  if (!wide && metadata.depth !== 'uchar') {
    throw new ImageError(`${name} has ${metadata.depth} samples; expected 8 or 16 bits a sample`);
  }
  const cmyk = metadata.space === 'cmyk';
  // A colour key turns a gray picture into gray and alpha in the decoder; it is still a gray picture.
  const gray = metadata.space === 'b-w' || metadata.space === 'grey16';
  const loneGray = gray && (metadata.channels === 1 || pngColourType === 0);
  const space = cmyk ? 'cmyk' : wide ? (gray ? 'grey16' : 'rgb16') : gray ? 'b-w' : 'srgb';

  const decoded = await decode(open().pipelineColourspace(space).toColourspace(space).autoOrient(), wide).catch(
    (cause: unknown) => {
      throw new ImageError(`${name} is damaged or cut short: ${reason(cause)}; copy or download it again`, { cause });
    },
  );
  return { decoded, loneGray, cmyk };
}

interface Decoded {
  samples: Uint8Array | Uint16Array;
  width: number;
  height: number;
  channels: number;
}

async function decode(pipeline: Sharp, wide: boolean): Promise<Decoded> {
  const { data, info } = await pipeline.raw({ depth: wide ? 'ushort' : 'uchar' }).toBuffer({ resolveWithObject: true });
  const samples = wide
    ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { samples, width: info.width, height: info.height, channels: info.channels };
}

async function readBytes(path: string, name: string): Promise<Uint8Array> {
  // Loaded late, so that the rest of this file runs in a browser.
  const { readFile, stat } = await import('node:fs/promises');
  try {
    if ((await stat(path)).isDirectory()) throw new ImageError(`${name} is a folder; expected an image file`);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new ImageError(`${name} does not exist; check the path`, { cause });
    throw new ImageError(`${name} cannot be read: ${reason(cause)}`, { cause });
  }
}

/** sharp is a native module: it is loaded when the first picture is read, and its absence is told in plain words. */
async function loadSharp(): Promise<(typeof import('sharp'))['default']> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new ImageError(
      `images cannot be decoded because the package 'sharp' does not load here (${reason(cause)}); run: npm install sharp`,
      {
        cause,
      },
    );
  }
}

function describeUnreadable(name: string, bytes: Uint8Array, cause: unknown): string {
  const kind = signature(bytes);
  if (kind !== undefined) return `${name} starts like a ${kind} file but is damaged or cut short: ${reason(cause)}`;
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return `${name} is not an image that can be read (it starts with ${start}); expected ${KNOWN}`;
}

/** The container that the first bytes announce. */
function signature(bytes: Uint8Array): string | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, 12));
  if (text.startsWith('\xff\xd8\xff')) return 'JPEG';
  if (text.startsWith('\x89PNG')) return 'PNG';
  if (text.startsWith('GIF8')) return 'GIF';
  if (text.startsWith('RIFF') && text.slice(8) === 'WEBP') return 'WebP';
  if (text.startsWith('II*\0') || text.startsWith('MM\0*')) return 'TIFF';
  if (text.slice(4, 8) === 'ftyp') return 'AVIF';
  return undefined;
}

function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.trim().split('\n')[0];
}
