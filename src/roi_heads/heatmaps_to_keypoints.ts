const f = Math.fround;

/** The constant of the cubic kernel (PyTorch's). */
const A = -0.75;
/** No more than this share of a neighbourhood's spread can the cubic overshoot its maximum: the negative weights' largest sum, 2 (1 + n) n with n = -A / 4, rounded up. */
const OVERSHOOT = 0.4454;

/** One axis of the enlargement: for each output pixel the cell it lies in and four weights; for each cell its first output pixel. */
interface CubicAxis {
  /** [4 * length] of the input pixels cell - 1 .. cell + 2. */
  readonly weights: Float64Array;
  /** [cells + 1]: cell number i - 1 has the output pixels `starts[i] .. starts[i + 1]`. */
  readonly starts: Int32Array;
}

/**
 * The places of keypoints from their heatmaps (Detectron2's `heatmaps_to_keypoints`): each heatmap is enlarged to its box by a bicubic, the highest
 * pixel is the place, and the score is its softmax over the heatmap as it was. The bicubic is computed only where it can exceed the best so far.
 * @param heatmaps [D, size, size, P] logits
 * @param boxes    [D, 4] in the frame of the keypoints
 * @param count    P
 * @returns        [D, P, 4] as (x, y, logit, score)
 */
export function heatmapsToKeypoints(heatmaps: Float32Array, boxes: Float32Array, count: number, size: number): Float32Array {
  const detections = boxes.length / 4;
  const out = new Float32Array(detections * count * 4);
  const map = new Float64Array(size * size);
  const bounds = new CellBounds(size);
  for (let d = 0; d < detections; d++) {
    const [x0, y0, x1, y1] = boxes.subarray(d * 4, d * 4 + 4);
    const width = Math.max(f(x1 - x0), 1);
    const height = Math.max(f(y1 - y0), 1);
    const columns = cubicAxis(size, Math.ceil(width));
    const rows = cubicAxis(size, Math.ceil(height));
    for (let k = 0; k < count; k++) {
      for (let i = 0, at = d * size * size * count + k; i < map.length; i++, at += count) map[i] = heatmaps[at];
      const { x, y, value } = highest(map, size, columns, rows, bounds);
      let sum = 0;
      for (let i = 0; i < map.length; i++) sum += Math.exp(map[i] - value);
      const at = (d * count + k) * 4;
      out[at] = f((x + 0.5) * f(width / Math.ceil(width))) + x0;
      out[at + 1] = f((y + 0.5) * f(height / Math.ceil(height))) + y0;
      out[at + 2] = value;
      out[at + 3] = 1 / sum;
    }
  }
  return out;
}

/** Half-pixel centres, no antialiasing, the border repeats (PyTorch's `interpolate(mode='bicubic', align_corners=False)`). */
function cubicAxis(size: number, length: number): CubicAxis {
  const weights = new Float64Array(4 * length);
  const starts = new Int32Array(size + 2).fill(length);
  const scale = f(size / length);
  for (let i = length - 1; i >= 0; i--) {
    const source = f(f(scale * (i + 0.5)) - 0.5);
    const cell = Math.floor(source);
    const t = f(source - cell);
    starts[cell + 1] = i;
    weights.set([outer(1 + t), inner(t), inner(1 - t), outer(2 - t)], 4 * i);
  }
  // Cells without output pixels end where they begin.
  for (let i = size; i >= 0; i--) starts[i] = Math.min(starts[i], starts[i + 1]);
  return { weights, starts };
}

const inner = (t: number): number => ((A + 2) * t - (A + 3)) * t * t + 1;
const outer = (t: number): number => ((A * t - 5 * A) * t + 8 * A) * t - 4 * A;

/** What the cubic cannot exceed in each cell: from the extremes of the cell's 4 x 4 input pixels. */
class CellBounds {
  readonly side: number;
  readonly values: Float64Array;
  private readonly low: Float64Array;
  private readonly high: Float64Array;

  constructor(private readonly size: number) {
    this.side = size + 1;
    this.values = new Float64Array(this.side * this.side);
    this.low = new Float64Array(size * this.side);
    this.high = new Float64Array(size * this.side);
  }

  update(map: Float64Array): void {
    const { size, side, low, high, values } = this;
    const clamp = (i: number): number => Math.min(Math.max(i, 0), size - 1);
    for (let column = 0; column < side; column++) {
      const [a, b, c, d] = [clamp(column - 2), clamp(column - 1), clamp(column), clamp(column + 1)];
      for (let y = 0; y < size; y++) {
        const row = y * size;
        low[y * side + column] = Math.min(map[row + a], map[row + b], map[row + c], map[row + d]);
        high[y * side + column] = Math.max(map[row + a], map[row + b], map[row + c], map[row + d]);
      }
    }
    for (let row = 0; row < side; row++) {
      const [a, b, c, d] = [clamp(row - 2), clamp(row - 1), clamp(row), clamp(row + 1)].map((y) => y * side);
      for (let x = 0; x < side; x++) {
        const top = Math.max(high[a + x], high[b + x], high[c + x], high[d + x]);
        const bottom = Math.min(low[a + x], low[b + x], low[c + x], low[d + x]);
        values[row * side + x] = top + OVERSHOOT * (top - bottom);
      }
    }
  }
}

/** The highest pixel of the enlarged map, the first one in reading order where several are equal. */
function highest(
  map: Float64Array,
  size: number,
  columns: CubicAxis,
  rows: CubicAxis,
  bounds: CellBounds,
): { x: number; y: number; value: number } {
  bounds.update(map);
  const { side, values } = bounds;
  const best = { x: 0, y: 0, value: -Infinity };
  const partial = new Float64Array(4);
  const search = (row: number, column: number): void => {
    for (let x = columns.starts[column]; x < columns.starts[column + 1]; x++) {
      for (let i = 0; i < 4; i++) {
        const from = Math.min(Math.max(row - 2 + i, 0), size - 1) * size;
        let sum = 0;
        for (let j = 0; j < 4; j++)
          sum += columns.weights[4 * x + j] * map[from + Math.min(Math.max(column - 2 + j, 0), size - 1)];
        partial[i] = sum;
      }
      for (let y = rows.starts[row]; y < rows.starts[row + 1]; y++) {
        let sum = 0;
        for (let i = 0; i < 4; i++) sum += rows.weights[4 * y + i] * partial[i];
        const value = f(sum);
        const isEarlier = y < best.y || (y === best.y && x < best.x);
        if (value > best.value || (value === best.value && isEarlier)) Object.assign(best, { x, y, value });
      }
    }
  };
  const isEmpty = (axis: CubicAxis, cell: number): boolean => axis.starts[cell] === axis.starts[cell + 1];
  let first = -1;
  for (let row = 0; row < side; row++) {
    if (isEmpty(rows, row)) continue;
    for (let column = 0; column < side; column++) {
      if (isEmpty(columns, column)) continue;
      const cell = row * side + column;
      if (first < 0 || values[cell] > values[first]) first = cell;
    }
  }
  search(Math.floor(first / side), first % side);
  for (let row = 0; row < side; row++) {
    if (isEmpty(rows, row)) continue;
    for (let column = 0; column < side; column++) if (values[row * side + column] >= best.value) search(row, column);
  }
  return best;
}
