import { polygonsToRle } from '../data/rle/polygon_to_rle.js';
import type { MaskAnnotation } from '../structures/training_sample.js';
import { cropBitmap } from './crop_bitmap.js';

/** Boxes thinner than this (pixels) are scaled as if they were that wide. */
const SMALLEST_SIDE = 0.1;

/**
 * The part of an object's mask inside a box, at the mask head's resolution (Detectron2's `crop_and_resize`): polygons are moved, scaled and rasterised
 * as COCO does, bitmaps are pooled by RoIAlign and cut at one half.
 * @param boxes  (x0, y0, x1, y1) of the box begin at `at`, input frame
 * @param size   side of the target
 * @param out    [size, size] 0 or 1 are written to `out[to ..]`
 * @param width  of the image, for bitmaps
 */
export function maskTarget(
  mask: MaskAnnotation,
  boxes: Float32Array,
  at: number,
  size: number,
  imageWidth: number,
  out: Float32Array,
  to: number,
): void {
  if (mask.kind === 'bitmap') cropBitmap(mask.bitmap, imageWidth, boxes, at, size, out, to);
  else rasterizePolygons(mask.polygons, boxes, at, size, out, to);
}

function rasterizePolygons(
  polygons: readonly Float64Array[],
  boxes: Float32Array,
  at: number,
  size: number,
  out: Float32Array,
  to: number,
): void {
  const scaleX = size / Math.max(Math.fround(boxes[at + 2] - boxes[at]), SMALLEST_SIDE);
  const scaleY = size / Math.max(Math.fround(boxes[at + 3] - boxes[at + 1]), SMALLEST_SIDE);
  const moved = polygons.map((polygon) => polygon.map((v, i) => (v - boxes[at + (i & 1)]) * (i & 1 ? scaleY : scaleX)));
  const { counts } = polygonsToRle(moved, size, size);
  // Runs go down the columns and begin with zeros.
  let pixel = 0;
  counts.forEach((count, run) => {
    const end = pixel + count;
    for (; pixel < end; pixel++) out[to + (pixel % size) * size + Math.floor(pixel / size)] = run & 1;
  });
}
