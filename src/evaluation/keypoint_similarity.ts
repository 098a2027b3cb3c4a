/** What object keypoint similarity needs to know of a labelled object. */
export interface KeypointTruth {
  /** x, y, visibility per keypoint. */
  keypoints: readonly number[];
  /** x, y, width, height. */
  bbox: readonly number[];
  area: number;
}

/**
 * Object keypoint similarity of every detection with every labelled object, `result[d * G + g]`, as COCO defines it. For an object without
 * labelled keypoints the distance is that to its doubled box.
 *
 * @param detections x, y, score per keypoint
 * @param sigmas one per keypoint
 */
export function keypointSimilarity(
  detections: readonly (readonly number[])[],
  groundTruth: readonly KeypointTruth[],
  sigmas: readonly number[],
): Float64Array {
  const variances = sigmas.map((s) => (s * 2) ** 2);
  const out = new Float64Array(detections.length * groundTruth.length);
  groundTruth.forEach((truth, g) => {
    const { keypoints, bbox } = truth;
    let labelled = 0;
    for (let k = 0; k < sigmas.length; k++) if (keypoints[k * 3 + 2]! > 0) labelled++;
    const x0 = bbox[0]! - bbox[2]!;
    const x1 = bbox[0]! + bbox[2]! * 2;
    const y0 = bbox[1]! - bbox[3]!;
    const y1 = bbox[1]! + bbox[3]! * 2;
    detections.forEach((found, d) => {
      let sum = 0;
      for (let k = 0; k < sigmas.length; k++) {
        if (labelled > 0 && !(keypoints[k * 3 + 2]! > 0)) continue;
        const x = found[k * 3]!;
        const y = found[k * 3 + 1]!;
        const dx = labelled > 0 ? x - keypoints[k * 3]! : Math.max(0, x0 - x) + Math.max(0, x - x1);
        const dy = labelled > 0 ? y - keypoints[k * 3 + 1]! : Math.max(0, y0 - y) + Math.max(0, y - y1);
        sum += Math.exp(-((dx ** 2 + dy ** 2) / variances[k]! / (truth.area + 2 ** -52) / 2));
      }
      out[d * groundTruth.length + g] = sum / (labelled > 0 ? labelled : sigmas.length);
    });
  });
  return out;
}
