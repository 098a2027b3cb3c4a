import type { RegionGeometry } from './geometry.js';

/** 32-bit words of one region's record; the layout is at the head of kernels/assembly/roi_align.ts. */
const WORDS = 10;

/** Regions of one strip of this many rows run from left to right, so that neighbours find their pixels in the cache. */
const STRIP_ROWS = 32;

/** The bytes of the records of `count` regions. */
export function recordBytes(count: number): number {
  return 4 * WORDS * count;
}

/** The scratch bytes that the kernels need for the most demanding of the regions. */
export function scratchBytes(regions: RegionGeometry, shapes: number[][], [height, width]: [number, number]): number {
  let most = 0;
  for (let r = 0; r < regions.count; r++) {
    const [, , W, C] = shapes[regions.level[r]];
    const columns = Math.min(W, 2 * width * regions.samplesX[r]);
    most = Math.max(most, 16 * height * regions.samplesY[r] + 24 * width * regions.samplesX[r] + 4 * columns * C);
  }
  return most + 4 * (height + width) + 16;
}

/** The entry points of the compiled kernels. */
export type RoiAlignKernel = 'roiAlignForward' | 'roiAlignBackward' | 'roiAlignBackwardInOrder';

/**
 * The backward pass for a sampling ratio. With a fixed one the terms are few enough to add them one by one in torchvision's order, which gives its
 * numbers to the last bit (powers of two). Adaptive sampling has up to hundreds of terms in a bin: there the separable form is many times faster, and
 * closer to the exact sum.
 */
export function backwardKernel(samplingRatio: number): RoiAlignKernel {
  return samplingRatio > 0 ? 'roiAlignBackwardInOrder' : 'roiAlignBackward';
}

/**
 * Writes the records, ordered by place on the maps (forward rows are independent; the separable backward pass adds in this order, the same for the
 * same regions), or, for the kernel that keeps torchvision's order, as the regions come.
 * @param kernel the kernel that they are for
 * @param buffer the memory of the kernels; the records begin at byte `at`
 * @param maps   address of each map
 * @param pooled address of the pooled tensor, [R, h, w, C]
 */
export function writeRecords(
  kernel: RoiAlignKernel,
  buffer: ArrayBufferLike,
  at: number,
  regions: RegionGeometry,
  maps: number[],
  shapes: number[][],
  pooled: number,
  [height, width]: [number, number],
): void {
  const words = new Uint32Array(buffer, at, WORDS * regions.count);
  const floats = new Float32Array(buffer, at, WORDS * regions.count);
  const { level, image, y, x } = regions;
  const strip = (r: number) => Math.floor(y[r] / STRIP_ROWS);
  const order = new Int32Array(regions.count);
  for (let r = 0; r < order.length; r++) order[r] = r;
  if (kernel !== 'roiAlignBackwardInOrder')
    order.sort((i, j) => level[i] - level[j] || image[i] - image[j] || strip(i) - strip(j) || x[i] - x[j] || i - j);
  order.forEach((r, k) => {
    const [, H, W, C] = shapes[level[r]];
    const w = WORDS * k;
    words[w] = maps[level[r]] + 4 * image[r] * H * W * C;
    words[w + 1] = H;
    words[w + 2] = W;
    words[w + 3] = pooled + 4 * r * height * width * C;
    floats[w + 4] = y[r];
    floats[w + 5] = x[r];
    floats[w + 6] = regions.binHeight[r];
    floats[w + 7] = regions.binWidth[r];
    words[w + 8] = regions.samplesY[r];
    words[w + 9] = regions.samplesX[r];
  });
}
