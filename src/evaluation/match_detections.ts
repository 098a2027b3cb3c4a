/** The outcome of matching: -1 is no match, else the number of the partner in the caller's order. */
export interface Matches {
  /** [T, D]: ground truth of each detection. */
  ofDetection: Int32Array;
  /** [T, G]: detection of each ground truth. */
  ofGroundTruth: Int32Array;
}

/**
 * COCO's greedy matching of one image and category. Detections come by descending score; each takes the ground truth of the highest overlap
 * that is free (a crowd always is) and at least at the threshold; of equal overlaps the last wins. Ignored ground truth is looked at last, and
 * only while nothing real is held.
 *
 * @param ious D * G overlaps, `ious[d * G + g]`
 * @param ignored G flags
 * @param crowd G flags
 */
export function matchDetections(
  ious: Float64Array,
  detections: number,
  ignored: Uint8Array,
  crowd: Uint8Array,
  thresholds: Float64Array,
): Matches {
  const G = ignored.length;
  const T = thresholds.length;
  const ofDetection = new Int32Array(T * detections).fill(-1);
  const ofGroundTruth = new Int32Array(T * G).fill(-1);
  const order = new Int32Array(G);
  let real = 0;
  for (let g = 0; g < G; g++) if (!ignored[g]) order[real++] = g;
  for (let g = 0, n = real; g < G; g++) if (ignored[g]) order[n++] = g;
  for (let d = 0; d < detections; d++) {
    const row = d * G;
    let most = -1;
    for (let g = 0; g < G; g++) if (ious[row + g]! > most) most = ious[row + g]!;
    for (let t = 0; t < T; t++) {
      let best = Math.min(thresholds[t]!, 1 - 1e-10);
      if (most < best) continue;
      let match = -1;
      for (let i = 0; i < G; i++) {
        // Order puts ignored ones from `real` on; a match below it is real.
        if (i === real && match > -1) break;
        const g = order[i]!;
        if (ofGroundTruth[t * G + g]! > -1 && !crowd[g]) continue;
        const iou = ious[row + g]!;
        if (iou < best) continue;
        best = iou;
        match = g;
      }
      if (match === -1) continue;
      ofDetection[t * detections + d] = match;
      ofGroundTruth[t * G + match] = d;
    }
  }
  return { ofDetection, ofGroundTruth };
}
