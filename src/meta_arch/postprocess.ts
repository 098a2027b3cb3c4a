import type { RawInstances } from '../roi_heads/roi_heads.js';
import { roundHalfEven } from '../data/transforms/rounding.js';
import { clipBox, isLargerThan } from '../rpn/find_top_proposals.js';

interface Size {
  readonly height: number;
  readonly width: number;
}

/** Instances from one frame to another: boxes and keypoints are scaled, none is clipped or dropped. */
export function scaleInstances(instances: RawInstances, from: Size, to: Size): RawInstances {
  const scaleY = Math.fround(to.height / from.height);
  const scaleX = Math.fround(to.width / from.width);
  const { keypoints } = instances;
  const points = keypoints && {
    count: keypoints.count,
    values: keypoints.values.map((v, i) => (i % 3 === 2 ? v : v * (i % 3 === 0 ? scaleX : scaleY))),
  };
  const boxes = instances.boxes.map((v, i) => v * (i % 2 === 0 ? scaleX : scaleY));
  return { ...instances, boxes, ...(points ? { keypoints: points } : {}) };
}

/** Matterport's: the middles of the first and the last pixels are moved to each other, boxes rounded to whole pixels, halves to even. */
function toWholePixels(instances: RawInstances, from: Size, to: Size): RawInstances {
  const scales = [(to.width - 1) / (from.width - 1), (to.height - 1) / (from.height - 1)];
  const boxes = instances.boxes.map((v, i) => {
    const far = i % 4 < 2 ? 0 : 1;
    return roundHalfEven((v - far) * scales[i % 2] + far);
  });
  return { ...instances, boxes };
}

/**
 * Brings instances from the input frame to the image frame (Detectron2's `detector_postprocess` up to mask pasting): boxes scaled by
 * output / unpadded input, clipped, empty ones dropped; keypoints scaled with them. Masks stay small.
 * @param inputSize  (height, width) of the resized picture, without padding
 * @param outputSize (height, width) of the picture as it is in the file
 * @param conventions Matterport's moves boxes to whole pixels
 */
export function postprocess(
  instances: RawInstances,
  inputSize: readonly [number, number],
  outputSize: readonly [number, number],
  conventions = 'detectron2',
): RawInstances {
  const [from, to] = [inputSize, outputSize].map(([height, width]) => ({ height, width }));
  const { boxes: scaled, keypoints: points } = (conventions === 'matterport' ? toWholePixels : scaleInstances)(
    instances,
    from,
    to,
  );
  const keep: number[] = [];
  for (let i = 0; i < instances.scores.length; i++) {
    clipBox(scaled, i * 4, outputSize);
    if (isLargerThan(scaled, i * 4, 0)) keep.push(i);
  }
  const area = instances.masks ? instances.masks.size ** 2 : 0;
  const rows = <T extends Float32Array | Int32Array>(values: T, width: number, empty: T): T => {
    keep.forEach((from, to) => empty.set(values.subarray(from * width, (from + 1) * width), to * width));
    return empty;
  };
  const width = points ? points.count * 3 : 0;
  return {
    boxes: rows(scaled, 4, new Float32Array(keep.length * 4)),
    scores: rows(instances.scores, 1, new Float32Array(keep.length)),
    classes: rows(instances.classes, 1, new Int32Array(keep.length)),
    rows: rows(instances.rows, 1, new Int32Array(keep.length)),
    masks: instances.masks && {
      size: instances.masks.size,
      probabilities: rows(instances.masks.probabilities, area, new Float32Array(keep.length * area)),
    },
    ...(points && { keypoints: { ...points, values: rows(points.values, width, new Float32Array(keep.length * width)) } }),
  };
}
