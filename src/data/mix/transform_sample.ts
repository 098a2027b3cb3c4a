import { withoutEmpty } from '../annotations/instances.js';
import type { GroundTruth, MaskAnnotation, TrainingSample } from '../../structures/training_sample.js';
import { DatasetError } from '../../errors.js';
import type { Transform } from '../transforms/transform.js';

/** A sample with its objects moved by one more transform: boxes are clipped, objects of which nothing is left go. */
export function transformSample(sample: TrainingSample, transform: Transform): TrainingSample {
  const size = { height: sample.height, width: sample.width };
  const { data, height, width } = transform.applyImage({ ...size, data: sample.data, channels: 3 });
  if (!(data instanceof Uint8Array))
    throw new DatasetError(`${sample.fileName}: a transform gave float samples; training takes 8-bit ones.`);
  const truth = sample.groundTruth;
  const limits = [width, height, width, height];
  const boxes = transform.applyBoxes(Float64Array.from(truth.boxes)).map((v, i) => Math.min(Math.max(v, 0), limits[i % 4]));
  const masks = truth.masks?.map((mask): MaskAnnotation => {
    if (mask.kind === 'polygons') return { kind: 'polygons', polygons: transform.applyPolygons(mask.polygons) };
    return { kind: 'bitmap', bitmap: transform.applyLabels({ ...size, data: mask.bitmap, channels: 1 }).data };
  });
  const semantic = sample.semantic && transform.applyLabels({ ...size, data: sample.semantic, channels: 1 }).data;
  const keypoints = truth.keypoints && moveKeypoints(truth.keypoints, transform, height, width);
  const groundTruth = withoutEmpty({
    boxes: Float32Array.from(boxes),
    classes: truth.classes,
    ...(masks ? { masks } : {}),
    ...(keypoints ? { keypoints } : {}),
  });
  return { ...sample, data, height, width, groundTruth, ...(semantic ? { semantic } : {}) };
}

function moveKeypoints(keypoints: Float32Array, transform: Transform, height: number, width: number): Float32Array {
  if (transform.mirrors)
    throw new DatasetError('A sample with keypoints cannot be mirrored once more; mirror it when it is mapped.');
  const points = transform.applyCoordinates(Float64Array.from(keypoints.filter((_, i) => i % 3 !== 2)));
  const out = new Float32Array(keypoints.length);
  for (let i = 0; i < keypoints.length; i += 3) {
    const [x, y] = points.subarray((i / 3) * 2);
    const inside = x >= 0 && y >= 0 && x <= width && y <= height;
    if (inside && keypoints[i + 2] !== 0) out.set([x, y, keypoints[i + 2]], i);
  }
  return out;
}

/** The objects of several samples of one size, one after the other. */
export function joinTruths(truths: readonly GroundTruth[]): GroundTruth {
  const masks = truths.some((t) => t.masks) ? truths.flatMap((t) => t.masks ?? []) : undefined;
  const keypoints = truths.some((t) => t.keypoints)
    ? Float32Array.from(truths.flatMap((t) => Array.from(t.keypoints ?? [])))
    : undefined;
  return {
    boxes: Float32Array.from(truths.flatMap((t) => Array.from(t.boxes))),
    classes: Int32Array.from(truths.flatMap((t) => Array.from(t.classes))),
    ...(masks ? { masks } : {}),
    ...(keypoints ? { keypoints } : {}),
  };
}
