import { ArgumentError } from '../../errors.js';
import type { GroundTruth, MaskAnnotation } from '../../structures/training_sample.js';
import { decodeRle } from '../rle/rle.js';
import { polygonsToRle } from '../rle/polygon_to_rle.js';
import { polygonArea } from '../polygon_area.js';
import type { TransformedAnnotation } from './transform_annotations.js';

/** Form of the masks: outlines where the data set has them, or bitmaps for all objects. */
export type MaskFormat = 'polygon' | 'bitmask';

/** Which parts {@link annotationsToGroundTruth} makes. */
export interface GroundTruthOptions {
  /** Left out: no masks. With `polygon`, objects that the data set gives as run lengths keep bitmaps. */
  readonly masks?: MaskFormat;
  /** Number of keypoints of each object; left out: no keypoints. */
  readonly keypoints?: number;
}

/**
 * Gathers the objects of a picture as Detectron2's `annotations_to_instances`.
 *
 * @param size of the picture, for bitmaps
 * @throws ArgumentError when an object lacks the masks or keypoints asked for; the message counts objects from 0
 */
export function annotationsToGroundTruth(
  annotations: readonly TransformedAnnotation[],
  size: { readonly height: number; readonly width: number },
  options: GroundTruthOptions = {},
): GroundTruth {
  const boxes = new Float32Array(annotations.length * 4);
  const classes = new Int32Array(annotations.length);
  annotations.forEach((a, i) => {
    boxes.set(a.box, i * 4);
    classes[i] = a.category;
  });
  const masks = options.masks && annotations.map((a, i) => maskOf(a, i, size, options.masks!));
  const keypoints = options.keypoints === undefined ? undefined : gatherKeypoints(annotations, options.keypoints);
  return { boxes, classes, ...(masks ? { masks } : {}), ...(keypoints ? { keypoints } : {}) };
}

function maskOf(
  { mask }: TransformedAnnotation,
  i: number,
  { height, width }: { readonly height: number; readonly width: number },
  format: MaskFormat,
): MaskAnnotation {
  if (!mask) throw new ArgumentError(`object ${i} has no segmentation, which a model with masks needs`);
  if (mask.kind === 'bitmap' || format === 'polygon') return mask;
  return { kind: 'bitmap', bitmap: decodeRle(polygonsToRle(mask.polygons, height, width)) };
}

function gatherKeypoints(annotations: readonly TransformedAnnotation[], count: number): Float32Array {
  const out = new Float32Array(annotations.length * count * 3);
  annotations.forEach(({ keypoints }, i) => {
    if (keypoints?.length !== count * 3)
      throw new ArgumentError(`object ${i} has ${(keypoints?.length ?? 0) / 3} keypoints, the model ${count}`);
    out.set(keypoints, i * count * 3);
  });
  return out;
}

/** The box around an object's mask: around all points of polygons, around the pixels of a bitmap; infinite and empty without any. */
export function maskBox(mask: MaskAnnotation, width: number): [x0: number, y0: number, x1: number, y1: number] {
  if (mask.kind === 'polygons') {
    let [x0, y0, x1, y1] = [Infinity, Infinity, 0, 0];
    for (const polygon of mask.polygons)
      for (let i = 0; i < polygon.length; i += 2) {
        x0 = Math.min(x0, polygon[i]);
        x1 = Math.max(x1, polygon[i]);
        y0 = Math.min(y0, polygon[i + 1]);
        y1 = Math.max(y1, polygon[i + 1]);
      }
    return [x0, y0, x1, y1];
  }
  const { bitmap } = mask;
  let [x0, y0, x1, y1] = [width, 0, 0, 0];
  let any = false;
  for (let start = 0, y = 0; start < bitmap.length; start += width, y++) {
    const first = bitmap.subarray(start, start + width).indexOf(1);
    if (first < 0) continue;
    const last = bitmap.subarray(start, start + width).lastIndexOf(1);
    if (!any) y0 = y;
    any = true;
    y1 = y + 1;
    x0 = Math.min(x0, first);
    x1 = Math.max(x1, last + 1);
  }
  return any ? [x0, y0, x1, y1] : [0, 0, 0, 0];
}

/** Pixels that an object's mask covers; of polygons the sum of their areas, overlaps counted each time. */
export function maskArea(mask: MaskAnnotation): number {
  if (mask.kind === 'bitmap') return mask.bitmap.reduce((sum, v) => sum + v, 0);
  return mask.polygons.reduce((sum, polygon) => sum + polygonArea(polygon), 0);
}

/** Whether an object's mask has anything: an outline left, or a pixel set. */
export function isMaskEmpty(mask: MaskAnnotation): boolean {
  return mask.kind === 'polygons' ? mask.polygons.length === 0 : mask.bitmap.indexOf(1) < 0;
}

/** The same objects with the boxes around their masks: after a crop they are tighter. */
export function withMaskBoxes(truth: GroundTruth, width: number): GroundTruth {
  if (!truth.masks) return truth;
  return { ...truth, boxes: Float32Array.from(truth.masks.flatMap((mask) => maskBox(mask, width))) };
}

/** Options of {@link withoutEmpty}. */
export interface WithoutEmptyOptions {
  /** Look at masks too; default true. */
  readonly byMask?: boolean;
  /** Boxes must be wider and higher than this, in pixels; default 1e-5. */
  readonly boxThreshold?: number;
}

/** Leaves out objects whose box or mask is empty, as Detectron2's `filter_empty_instances`. */
export function withoutEmpty(truth: GroundTruth, options: WithoutEmptyOptions = {}): GroundTruth {
  const { byMask = true, boxThreshold = 1e-5 } = options;
  const { boxes, classes, masks } = truth;
  const kept: number[] = [];
  for (let i = 0; i < classes.length; i++) {
    const [x0, y0, x1, y1] = boxes.subarray(i * 4, i * 4 + 4);
    if (!(Math.fround(x1 - x0) > boxThreshold && Math.fround(y1 - y0) > boxThreshold)) continue;
    if (byMask && masks && isMaskEmpty(masks[i])) continue;
    kept.push(i);
  }
  return kept.length === classes.length ? truth : selectObjects(truth, kept);
}

/** The objects of the given numbers, in that order. */
export function selectObjects(truth: GroundTruth, indices: readonly number[]): GroundTruth {
  const { boxes, classes, masks, keypoints } = truth;
  const rows = (data: Float32Array, stride: number): Float32Array => {
    const out = new Float32Array(indices.length * stride);
    indices.forEach((index, i) => out.set(data.subarray(index * stride, (index + 1) * stride), i * stride));
    return out;
  };
  return {
    boxes: rows(boxes, 4),
    classes: Int32Array.from(indices, (i) => classes[i]),
    ...(masks ? { masks: indices.map((i) => masks[i]) } : {}),
    ...(keypoints ? { keypoints: rows(keypoints, classes.length ? keypoints.length / classes.length : 0) } : {}),
  };
}
