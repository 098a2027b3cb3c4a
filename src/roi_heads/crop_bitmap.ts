/** Shares of the pixels of one axis in one bin: pixel `first + i` counts `weights[i]`. */
interface BinWeights {
  readonly first: number;
  readonly weights: Float64Array;
}

const f = Math.fround;

/** RoIAlign's samples along one axis (aligned, as many as the bin has pixels), summed up by pixel. */
function binWeights(low: number, high: number, bins: number, size: number): BinWeights[] {
  const start = f(low - 0.5);
  const bin = f(f(f(high - 0.5) - start) / bins);
  const samples = Math.max(0, Math.ceil(bin));
  return Array.from({ length: bins }, (_, b) => {
    const first = Math.min(Math.max(Math.floor(start + b * bin) - 1, 0), size - 1);
    const last = Math.min(Math.max(Math.ceil(start + (b + 1) * bin) + 1, 0), size - 1);
    const weights = new Float64Array(last - first + 1);
    for (let i = 0; i < samples; i++) {
      const v = f(f(start + f(b * bin)) + f(f((i + 0.5) * bin) / samples));
      if (!(v >= -1 && v <= size)) continue;
      const clamped = Math.max(v, 0);
      const pixel = Math.min(Math.trunc(clamped), size - 1);
      const fraction = pixel === size - 1 ? 0 : f(clamped - pixel);
      weights[pixel - first] += (1 - fraction) / samples;
      if (fraction > 0) weights[pixel + 1 - first] += fraction / samples;
    }
    return { first, weights };
  });
}

/**
 * The part of a bitmap inside a box: RoIAlign at scale 1, then `>= 0.5` (Detectron2's `BitMasks.crop_and_resize`). The bilinear samples of a bin are a
 * product of one sum over rows and one over columns, so the cost is that of the box's pixels.
 * @param bitmap [H, W], 0 or 1
 * @param boxes  (x0, y0, x1, y1) of the box begin at `at`
 * @param out    [size, size] is written to `out[to ..]`
 */
export function cropBitmap(
  bitmap: Uint8Array,
  width: number,
  boxes: Float32Array,
  at: number,
  size: number,
  out: Float32Array,
  to: number,
): void {
  const height = bitmap.length / width;
  const columns = binWeights(boxes[at], boxes[at + 2], size, width);
  const rows = binWeights(boxes[at + 1], boxes[at + 3], size, height);
  const sums = new Float64Array(size);
  rows.forEach(({ first, weights }, i) => {
    sums.fill(0);
    weights.forEach((weight, dy) => {
      if (weight === 0) return;
      const row = (first + dy) * width;
      columns.forEach((column, j) => {
        let sum = 0;
        for (let dx = 0; dx < column.weights.length; dx++) if (bitmap[row + column.first + dx]) sum += column.weights[dx];
        sums[j] += weight * sum;
      });
    });
    for (let j = 0; j < size; j++) out[to + i * size + j] = f(sums[j]) >= 0.5 ? 1 : 0;
  });
}
