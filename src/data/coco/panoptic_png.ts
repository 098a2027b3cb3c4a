import { DatasetError } from '../../errors.js';

/** Segment ids from the pixels of a panoptic PNG: R + 256 G + 65536 B; `channels` 3, or 4 with alpha ignored. */
export function panopticIds(pixels: Uint8Array, channels: 3 | 4 = 3): Uint32Array {
  const out = new Uint32Array(Math.floor(pixels.length / channels));
  for (let i = 0, p = 0; i < out.length; i++, p += channels) out[i] = pixels[p]! + 256 * pixels[p + 1]! + 65536 * pixels[p + 2]!;
  return out;
}

/** The RGB pixels of a panoptic PNG. */
export function panopticPixels(ids: Uint32Array): Uint8Array {
  const out = new Uint8Array(ids.length * 3);
  for (let i = 0; i < ids.length; i++) {
    out[i * 3] = ids[i]! & 255;
    out[i * 3 + 1] = (ids[i]! >>> 8) & 255;
    out[i * 3 + 2] = (ids[i]! >>> 16) & 255;
  }
  return out;
}

/** A segment id for every pixel, by rows. */
export interface PanopticMap {
  ids: Uint32Array;
  height: number;
  width: number;
}

/**
 * Reads a panoptic PNG, in Node and in a browser.
 *
 * @param source a path (Node only) or the file's bytes
 * @throws DatasetError for anything but an 8-bit RGB(A) PNG; names the file
 */
export async function readPanopticPng(source: string | Uint8Array): Promise<PanopticMap> {
  const name = typeof source === 'string' ? source : 'the panoptic PNG';
  let png;
  try {
    const [{ decode }, bytes] = await Promise.all([
      import('fast-png'),
      typeof source === 'string' ? import('node:fs/promises').then((fs) => fs.readFile(source)) : source,
    ]);
    png = decode(bytes);
  } catch (error) {
    throw new DatasetError(`${name} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const { channels, depth, data, height, width, palette } = png;
  if (depth !== 8 || palette || (channels !== 3 && channels !== 4))
    throw new DatasetError(`${name} has ${channels} channels of ${depth} bits; a panoptic PNG is 8-bit RGB.`);
  return { ids: panopticIds(data as Uint8Array, channels), height, width };
}

/** The bytes of a panoptic PNG. */
export async function encodePanopticPng({ ids, height, width }: PanopticMap): Promise<Uint8Array> {
  const { encode } = await import('fast-png');
  return encode({ width, height, channels: 3, depth: 8, data: panopticPixels(ids) });
}
