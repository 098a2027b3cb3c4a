import type { RawInstances } from '../roi_heads/roi_heads.js';
import { clipBox, isLargerThan } from '../rpn/find_top_proposals.js';

/**
 * Brings instances from the input frame to the image frame (Detectron2's `detector_postprocess` up to mask pasting): boxes scaled by
 * output / unpadded input, clipped, empty ones dropped; keypoints scaled with them. Masks stay small.
 * @param inputSize  (height, width) of the resized picture, without padding
 * @param outputSize (height, width) of the picture as it is in the file
 */
export function postprocess(
  instances: RawInstances,
  inputSize: readonly [number, number],
  outputSize: readonly [number, number],
): RawInstances {
  const scaleY = Math.fround(outputSize[0] / inputSize[0]);
  const scaleX = Math.fround(outputSize[1] / inputSize[1]);
  const scaled = new Float32Array(instances.boxes.length);
  const keep: number[] = [];
  for (let i = 0; i < instances.scores.length; i++) {
    const at = i * 4;
    scaled[at] = instances.boxes[at] * scaleX;
    scaled[at + 1] = instances.boxes[at + 1] * scaleY;
    scaled[at + 2] = instances.boxes[at + 2] * scaleX;
    scaled[at + 3] = instances.boxes[at + 3] * scaleY;
    clipBox(scaled, at, outputSize);
    if (isLargerThan(scaled, at, 0)) keep.push(i);
  }
  const area = instances.masks ? instances.masks.size ** 2 : 0;
  const rows = <T extends Float32Array | Int32Array>(values: T, width: number, empty: T): T => {
    keep.forEach((from, to) => empty.set(values.subarray(from * width, (from + 1) * width), to * width));
    return empty;
  };
  const points = instances.keypoints && {
    count: instances.keypoints.count,
    values: instances.keypoints.values.map((v, i) => (i % 3 === 2 ? v : v * (i % 3 === 0 ? scaleX : scaleY))),
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
