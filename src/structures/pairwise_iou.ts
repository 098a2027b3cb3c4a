const f = Math.fround;

/** Areas of boxes in float32. @param boxes [N, 4] @returns [N] */
export function boxAreas(boxes: Float32Array): Float32Array<ArrayBuffer> {
  const areas = new Float32Array(boxes.length / 4);
  for (let i = 0, at = 0; i < areas.length; i++, at += 4)
    areas[i] = f(boxes[at + 2] - boxes[at]) * f(boxes[at + 3] - boxes[at + 1]);
  return areas;
}

/** The overlap of box `i` of `a` with box `j` of `b`, as an area in float32; 0 where they do not meet. */
function intersection(a: Float32Array, i: number, b: Float32Array, j: number): number {
  const width = f(Math.min(a[i + 2], b[j + 2]) - Math.max(a[i], b[j]));
  if (!(width > 0)) return 0;
  const height = f(Math.min(a[i + 3], b[j + 3]) - Math.max(a[i + 1], b[j + 1]));
  return height > 0 ? f(width * height) : 0;
}

/**
 * Intersection over union of one box with many, every step rounded to float32 as in Detectron2's `pairwise_iou`; 0 where they do not meet.
 * @param a    boxes (x0, y0, x1, y1), of which number `row` is taken
 * @param b    [N, 4]
 * @param areaOfB areas of `b`, from `boxAreas`
 * @param out  [N]
 */
export function iouRow(a: Float32Array, row: number, b: Float32Array, areaOfB: Float32Array, out: Float32Array): void {
  const i = row * 4;
  const area = f(f(a[i + 2] - a[i]) * f(a[i + 3] - a[i + 1]));
  for (let n = 0, j = 0; n < out.length; n++, j += 4) {
    const common = intersection(a, i, b, j);
    out[n] = common > 0 ? common / f(f(area + areaOfB[n]) - common) : 0;
  }
}

/** @param a [M, 4] @param b [N, 4] @returns intersection over union, [M, N] */
export function pairwiseIou(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const rows = a.length / 4;
  const columns = b.length / 4;
  const areas = boxAreas(b);
  const result = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) iouRow(a, row, b, areas, result.subarray(row * columns, (row + 1) * columns));
  return result;
}

/** @param a [M, 4] @param b [N, 4] @returns intersection over the area of b, [M, N] (Detectron2's `pairwise_ioa`) */
export function pairwiseIoa(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const rows = a.length / 4;
  const columns = b.length / 4;
  const areas = boxAreas(b);
  const result = new Float32Array(rows * columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let n = 0; n < columns; n++, at++) {
      const common = intersection(a, row * 4, b, n * 4);
      result[at] = common > 0 ? common / areas[n] : 0;
    }
  }
  return result;
}
