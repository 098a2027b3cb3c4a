import { ArgumentError } from '../../errors.js';
import { decodeRle, type CocoRle, segmentationToRle } from '../rle/index.js';
import type { MaskAnnotation } from '../../structures/training_sample.js';
import type { Raster, Transform } from '../transforms/transform.js';
import { BoxMode, convertBox } from './box_mode.js';

/** An object of a data set, as `loadCocoJson` gives it. */
export interface SourceAnnotation {
  readonly bbox?: readonly number[];
  readonly bbox_mode: number;
  readonly category_id: number;
  readonly iscrowd?: number;
  readonly segmentation?: readonly (readonly number[])[] | CocoRle;
  readonly keypoints?: readonly number[];
}

/** An object in the frame of the transformed picture. */
export interface TransformedAnnotation {
  /** x0, y0, x1, y1, clipped to the picture. */
  readonly box: Float64Array;
  readonly category: number;
  readonly mask?: MaskAnnotation;
  /** [P * 3] as x, y, visibility; 0, 0, 0 where not labelled or off the picture. */
  readonly keypoints?: Float64Array;
}

/** Sizes and keypoint order for {@link transformAnnotation}. */
export interface TransformAnnotationOptions {
  /** Size before the transform. */
  readonly source: { readonly height: number; readonly width: number };
  /** Size after it. */
  readonly target: { readonly height: number; readonly width: number };
  /** For each keypoint the one whose place it takes in a mirrored picture. */
  readonly keypointFlipIndices?: readonly number[];
}

/**
 * Moves an object's box, outline and keypoints as Detectron2's `transform_instance_annotations`: the box is clipped to the picture, keypoints
 * off the picture lose their label, and left and right keypoints change places in a mirrored picture.
 *
 * @throws ArgumentError for an object without a box, run lengths of another size, or keypoints that cannot be mirrored
 */
export function transformAnnotation(
  annotation: SourceAnnotation,
  transform: Transform,
  options: TransformAnnotationOptions,
): TransformedAnnotation {
  const { target } = options;
  if (!annotation.bbox) throw new ArgumentError('the object has no bbox');
  const source = convertBox(annotation.bbox, annotation.bbox_mode, BoxMode.XYXY_ABS, 'float32');
  const limits = [target.width, target.height, target.width, target.height];
  const box = transform.applyBoxes(Float64Array.from(source)).map((v, i) => Math.min(Math.max(v, 0), limits[i]));
  const mask = annotation.segmentation && transformMask(annotation.segmentation, transform, options);
  const keypoints = annotation.keypoints && transformKeypoints(annotation.keypoints, transform, options);
  return { box, category: annotation.category_id, ...(mask ? { mask } : {}), ...(keypoints ? { keypoints } : {}) };
}

function transformMask(
  segmentation: NonNullable<SourceAnnotation['segmentation']>,
  transform: Transform,
  { source, target }: TransformAnnotationOptions,
): MaskAnnotation {
  if (isPolygons(segmentation))
    return { kind: 'polygons', polygons: transform.applyPolygons(segmentation.map((p) => Float64Array.from(p))) };
  const rle = segmentationToRle(segmentation, source.height, source.width);
  const [height, width] = rle.size;
  if (height !== source.height || width !== source.width)
    throw new ArgumentError(`the mask has ${height} x ${width} pixels, the picture ${source.height} x ${source.width}`);
  const raster: Raster<Uint8Array> = { data: decodeRle(rle), height, width, channels: 1 };
  const moved = transform.applyLabels(raster);
  if (moved.height !== target.height || moved.width !== target.width)
    throw new ArgumentError(
      `the transformed mask has ${moved.height} x ${moved.width} pixels, the picture ${target.height} x ${target.width}`,
    );
  return { kind: 'bitmap', bitmap: moved.data };
}

function isPolygons(segmentation: NonNullable<SourceAnnotation['segmentation']>): segmentation is readonly (readonly number[])[] {
  return Array.isArray(segmentation);
}

function transformKeypoints(
  keypoints: readonly number[],
  transform: Transform,
  { target, keypointFlipIndices }: TransformAnnotationOptions,
): Float64Array {
  const count = keypoints.length / 3;
  if (!Number.isInteger(count))
    throw new ArgumentError(`keypoints are x, y, visibility each; ${keypoints.length} numbers are not`);
  const points = transform.applyCoordinates(
    Float64Array.from({ length: count * 2 }, (_, i) => keypoints[(i >> 1) * 3 + (i & 1)]),
  );
  const mirrored = transform.mirrors;
  if (mirrored && keypointFlipIndices?.length !== count)
    throw new ArgumentError(
      `mirroring ${count} keypoints needs to know which are left and right (keypointFlipIndices has ${keypointFlipIndices?.length ?? 0})`,
    );
  const out = new Float64Array(keypoints.length);
  for (let k = 0; k < count; k++) {
    const from = mirrored ? keypointFlipIndices![k] : k;
    const x = points[from * 2];
    const y = points[from * 2 + 1];
    const visibility = keypoints[from * 3 + 2];
    const inside = x >= 0 && y >= 0 && x <= target.width && y <= target.height;
    if (inside && visibility !== 0) out.set([x, y, visibility], k * 3);
  }
  return out;
}
