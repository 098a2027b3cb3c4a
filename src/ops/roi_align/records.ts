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
export function scratchBytes(regions: RegionGeometry[], shapes: number[][], [height, width]: [number, number]): number {
  let most = 0;
  for (const { level, samplesY, samplesX } of regions) {
    const columns = Math.min(shapes[level][2], 2 * width * samplesX);
    most = Math.max(most, 16 * height * samplesY + 24 * width * samplesX + 4 * columns * shapes[level][3]);
  }
  return most + 4 * (height + width) + 16;
}

/**
 * Writes the records, ordered by place on the maps (results do not depend on the order: forward rows are independent; the backward
 * pass adds in this order, the same for the same regions).
 * @param buffer the memory of the kernels; the records begin at byte `at`
 * @param maps   address of each map
 * @param pooled address of the pooled tensor, [R, h, w, C]
 */
export function writeRecords(
  buffer: ArrayBufferLike,
  at: number,
  regions: RegionGeometry[],
  maps: number[],
  shapes: number[][],
  pooled: number,
  [height, width]: [number, number],
): void {
  const words = new Uint32Array(buffer, at, WORDS * regions.length);
  const floats = new Float32Array(buffer, at, WORDS * regions.length);
  const strip = (r: RegionGeometry) => Math.floor(r.y / STRIP_ROWS);
  const order = regions.map((_, r) => r);
  order.sort((i, j) => {
    const a = regions[i];
    const b = regions[j];
    return a.level - b.level || a.image - b.image || strip(a) - strip(b) || a.x - b.x || i - j;
  });
  order.forEach((r, k) => {
    const region = regions[r];
    const [, H, W, C] = shapes[region.level];
    const w = WORDS * k;
    words[w] = maps[region.level] + 4 * region.image * H * W * C;
    words[w + 1] = H;
    words[w + 2] = W;
    words[w + 3] = pooled + 4 * r * height * width * C;
    floats[w + 4] = region.y;
    floats[w + 5] = region.x;
    floats[w + 6] = region.binHeight;
    floats[w + 7] = region.binWidth;
    words[w + 8] = region.samplesY;
    words[w + 9] = region.samplesX;
  });
}
