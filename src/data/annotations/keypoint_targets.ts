/** Where the heatmap of each keypoint has its one. */
export interface KeypointTargets {
  /** [G * P] row * size + column; 0 where `valid` is 0. */
  readonly indices: Int32Array;
  /** [G * P] 1 for labelled keypoints inside their box. */
  readonly valid: Uint8Array;
}

/**
 * The places of keypoints in the heatmaps of their boxes, as Detectron2's `keypoints_to_heatmap`, in float32; a keypoint on the right or
 * lower border of its box belongs to the last column or row.
 *
 * @param keypoints [G * P * 3] as x, y, visibility
 * @param boxes [G * 4] as x0, y0, x1, y1
 * @param size side of the heatmaps
 */
export function keypointTargets(keypoints: Float32Array, boxes: Float32Array, size: number): KeypointTargets {
  const count = boxes.length === 0 ? 0 : keypoints.length / 3 / (boxes.length / 4);
  const indices = new Int32Array((boxes.length / 4) * count);
  const valid = new Uint8Array(indices.length);
  const cell = (v: number, low: number, high: number): number => {
    const scale = Math.fround(size / Math.fround(high - low));
    return v === high ? size - 1 : Math.floor(Math.fround(Math.fround(v - low) * scale));
  };
  for (let i = 0; i < indices.length; i++) {
    const [x0, y0, x1, y1] = boxes.subarray(Math.floor(i / count) * 4);
    const x = cell(keypoints[i * 3], x0, x1);
    const y = cell(keypoints[i * 3 + 1], y0, y1);
    if (!(x >= 0 && y >= 0 && x < size && y < size && keypoints[i * 3 + 2] > 0)) continue;
    indices[i] = y * size + x;
    valid[i] = 1;
  }
  return { indices, valid };
}
