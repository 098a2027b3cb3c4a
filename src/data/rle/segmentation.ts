import { ArgumentError } from '../../errors.js';
import { polygonsToRle } from './polygon_to_rle.js';
import type { Rle } from './rle.js';
import { checkRle, rleFromString, rleToString } from './rle.js';

/** A COCO `segmentation` that holds run lengths: compressed (a string) or not (a list). */
export interface CocoRle {
  size: [height: number, width: number];
  counts: string | number[];
}

/** A COCO `segmentation`: polygons or run lengths. */
export type CocoSegmentation = number[][] | CocoRle;

/**
 * The mask of a COCO `segmentation`. Polygons are rasterised at the image's size; run lengths keep their own.
 *
 * @throws ArgumentError when it is neither, or its runs do not fit its size
 */
export function segmentationToRle(segmentation: CocoSegmentation, height: number, width: number): Rle {
  if (Array.isArray(segmentation)) return polygonsToRle(segmentation, height, width);
  if (typeof segmentation !== 'object' || segmentation === null || !Array.isArray(segmentation.size))
    throw new ArgumentError('A segmentation must be a list of polygons, or an object with size and counts.');
  const { size, counts } = segmentation;
  if (typeof counts === 'string') return rleFromString(counts, size);
  if (!Array.isArray(counts)) throw new ArgumentError('The counts of a segmentation must be a string or a list of numbers.');
  for (let i = 0; i < counts.length; i++)
    if (!(Number.isInteger(counts[i]) && counts[i]! >= 0 && counts[i]! <= 0xffffffff))
      throw new ArgumentError(`The counts of a segmentation must be integers from 0; number ${i} is ${String(counts[i])}.`);
  const rle: Rle = { size: [size[0], size[1]], counts: Uint32Array.from(counts) };
  checkRle(rle);
  return rle;
}

/** The compressed form that COCO result files hold. */
export function rleToCoco(rle: Rle): { size: [height: number, width: number]; counts: string } {
  return { size: [rle.size[0], rle.size[1]], counts: rleToString(rle) };
}
