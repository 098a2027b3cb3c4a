import { regionGeometry, type RegionGeometry, type RoiAlignOptions } from './geometry.js';

/** One bilinear sample along one axis. */
interface Sample {
  low: number;
  high: number;
  /** Weight of `high`; `low` has 1 - fraction. */
  fraction: number;
}

const f = Math.fround;

/** Sample i of bin b, or undefined where it is farther than one pixel outside of the map. */
function sampleAt(start: number, bin: number, b: number, i: number, count: number, size: number): Sample | undefined {
  const v = f(f(start + f(b * bin)) + f(f((i + 0.5) * bin) / count));
  if (!(v >= -1 && v <= size)) return undefined;
  const clamped = Math.max(v, 0);
  const low = Math.trunc(clamped);
  if (low >= size - 1) return { low: size - 1, high: size - 1, fraction: 0 };
  return { low, high: low + 1, fraction: f(clamped - low) };
}

/** Calls `visit(output, input, weight)` for every term of the sums, as offsets of pixels (without channels). */
function forEachTerm(
  regions: RegionGeometry,
  shapes: number[][],
  [outHeight, outWidth]: [number, number],
  visit: (level: number, output: number, input: number, weight: number) => void,
): void {
  for (let r = 0; r < regions.count; r++) {
    const [level, image] = [regions.level[r], regions.image[r]];
    const [samplesY, samplesX] = [regions.samplesY[r], regions.samplesX[r]];
    const [, H, W] = shapes[level];
    const share = 1 / Math.max(samplesY * samplesX, 1);
    for (let p = 0; p < outHeight; p++) {
      for (let q = 0; q < outWidth; q++) {
        const output = (r * outHeight + p) * outWidth + q;
        for (let i = 0; i < samplesY; i++) {
          const y = sampleAt(regions.y[r], regions.binHeight[r], p, i, samplesY, H);
          if (!y) continue;
          for (let j = 0; j < samplesX; j++) {
            const x = sampleAt(regions.x[r], regions.binWidth[r], q, j, samplesX, W);
            if (!x) continue;
            const top = (image * H + y.low) * W;
            const bottom = (image * H + y.high) * W;
            visit(level, output, top + x.low, (1 - y.fraction) * (1 - x.fraction) * share);
            visit(level, output, top + x.high, (1 - y.fraction) * x.fraction * share);
            visit(level, output, bottom + x.low, y.fraction * (1 - x.fraction) * share);
            visit(level, output, bottom + x.high, y.fraction * x.fraction * share);
          }
        }
      }
    }
  }
}

/**
 * RoIAlign in plain loops, the truth that the kernels are tested against. The contract is at `multilevelRoiAlign`.
 * @param maps   values of the maps, each [N, H, W, C]
 * @param shapes their shapes
 * @returns      [R, h, w, C]
 */
export function roiAlignReference(
  maps: Float32Array[],
  shapes: number[][],
  rois: Float32Array,
  levels: Int32Array,
  o: RoiAlignOptions,
): Float32Array {
  const channels = shapes[0][3];
  const sums = new Float64Array(levels.length * o.outputSize[0] * o.outputSize[1] * channels);
  forEachTerm(regionGeometry(rois, levels, shapes, o), shapes, o.outputSize, (level, output, input, weight) => {
    for (let c = 0; c < channels; c++) sums[output * channels + c] += weight * maps[level][input * channels + c];
  });
  return Float32Array.from(sums);
}

/**
 * The gradient of `roiAlignReference` with respect to the maps.
 * @param dy       [R, h, w, C]
 * @param rounding 'float32' rounds every product and every sum, as torchvision's loops on the CPU do; their order is the same
 * @returns        one array for every map, in its shape
 */
export function roiAlignGradReference(
  dy: Float32Array,
  shapes: number[][],
  rois: Float32Array,
  levels: Int32Array,
  o: RoiAlignOptions,
  rounding: 'none' | 'float32' = 'none',
): Float32Array[] {
  const channels = shapes[0][3];
  const Sums = rounding === 'float32' ? Float32Array : Float64Array;
  const round = rounding === 'float32' ? f : (v: number) => v;
  const sums = shapes.map((shape) => new Sums(shape.reduce((a, b) => a * b, 1)));
  forEachTerm(regionGeometry(rois, levels, shapes, o), shapes, o.outputSize, (level, output, input, weight) => {
    const w = round(weight);
    for (let c = 0; c < channels; c++) sums[level][input * channels + c] += round(w * dy[output * channels + c]);
  });
  return sums.map((sum) => Float32Array.from(sum));
}
