// Grouped convolution, four pixels and four or eight outputs of a group at a time: sums of inputs of the group alone.

/** Pixels that a band of rows has at least, where the map has as many: for so many the weights of a few outputs stay in the cache. */
const BAND_PIXELS = 16;

/** @returns bytes of the scratch that {@link groupedConv2d} needs: for where the pixels of a band begin, and for the weights */
export function groupedConv2dScratch(outHeight: i32, outWidth: i32, filterSize: i32): i32 {
  return placeBytes(outHeight, outWidth) + 4 * filterSize;
}

function placeBytes(outHeight: i32, outWidth: i32): i32 {
  return (4 * min(outHeight, bandRows(outWidth)) * outWidth + 15) & ~15;
}

function bandRows(outWidth: i32): i32 {
  return max(1, (BAND_PIXELS + outWidth - 1) / outWidth);
}

/**
 * @param x       [N, H, W, C], with the zeros around it that the output reaches
 * @param filter  [kh, kw, C / groups, K], K / groups divisible by 4
 * @param y       [N, H', W', K]
 * @param scratch as large as {@link groupedConv2dScratch} says
 */
export function groupedConv2d(
  x: usize,
  filter: usize,
  y: usize,
  images: i32,
  height: i32,
  width: i32,
  channels: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  outHeight: i32,
  outWidth: i32,
  outs: i32,
  groups: i32,
  stride: i32,
  scratch: usize,
): void {
  const perGroup = channels / groups;
  const outPerGroup = outs / groups;
  const pixel = <usize>channels << 2;
  const row = pixel * <usize>width;
  const step = pixel * <usize>stride;
  const outPixel = <usize>outs << 2;
  const band = min(outHeight, bandRows(outWidth));
  for (let p = 0; p < band; p++) {
    for (let q = 0; q < outWidth; q++)
      store<u32>(scratch + (<usize>(p * outWidth + q) << 2), <u32>(<usize>(p * stride) * row + <usize>q * step));
  }
  const taps = kernelHeight * kernelWidth * perGroup;
  const packed = scratch + <usize>placeBytes(outHeight, outWidth);
  pack(filter, packed, taps, outs, groups);
  for (let n = 0; n < images; n++) {
    for (let p = 0; p < outHeight; p += band) {
      const source = x + <usize>(n * height + p * stride) * row;
      const target = y + <usize>(n * outHeight + p) * <usize>outWidth * outPixel;
      const pixels = min(band, outHeight - p) * outWidth;
      for (let g = 0; g < groups; g++) {
        const input = source + (<usize>(g * perGroup) << 2);
        let k = g * outPerGroup;
        const end = k + outPerGroup;
        for (; k + 8 <= end; k += 8) {
          const weights = packed + (<usize>(k * taps) << 2);
          const out = target + (<usize>k << 2);
          // Where the last four are fewer, the last pixel again: one alone takes nearly as long as four.
          for (let q = 0; pixels > 1 && q < pixels; q += 4) {
            const u = min(q + 1, pixels - 1), v = min(q + 2, pixels - 1), w = min(q + 3, pixels - 1);
            fourPixelsEight(
              input + placeOf(scratch, q), input + placeOf(scratch, u), input + placeOf(scratch, v), input + placeOf(scratch, w), weights,
              out + <usize>q * outPixel, out + <usize>u * outPixel, out + <usize>v * outPixel, out + <usize>w * outPixel,
              perGroup, kernelHeight, kernelWidth, row, pixel, 32,
            );
          }
          if (pixels == 1) {
            onePixel(input, weights, out, perGroup, kernelHeight, kernelWidth, row, pixel, 32);
            onePixel(input, weights + 16, out + 16, perGroup, kernelHeight, kernelWidth, row, pixel, 32);
          }
        }
        for (; k < end; k += 4) {
          const weights = packed + (<usize>(k * taps) << 2);
          const out = target + (<usize>k << 2);
          for (let q = 0; pixels > 1 && q < pixels; q += 4) {
            const u = min(q + 1, pixels - 1), v = min(q + 2, pixels - 1), w = min(q + 3, pixels - 1);
            fourPixels(
              input + placeOf(scratch, q), input + placeOf(scratch, u), input + placeOf(scratch, v), input + placeOf(scratch, w), weights,
              out + <usize>q * outPixel, out + <usize>u * outPixel, out + <usize>v * outPixel, out + <usize>w * outPixel,
              perGroup, kernelHeight, kernelWidth, row, pixel, 16,
            );
          }
          if (pixels == 1) onePixel(input, weights, out, perGroup, kernelHeight, kernelWidth, row, pixel, 16);
        }
      }
    }
  }
}

/** The weights of eight or, at a group's end, four outputs side by side, block after block: a power of two apart, they would push each other out of the cache. */
function pack(filter: usize, packed: usize, taps: i32, outs: i32, groups: i32): void {
  const outPerGroup = outs / groups;
  const row = <usize>outs << 2;
  let to = packed;
  for (let g = 0; g < groups; g++) {
    let from = filter + (<usize>(g * outPerGroup) << 2);
    let k = 0;
    for (; k + 8 <= outPerGroup; k += 8, from += 32) {
      for (let t = 0; t < taps; t++, to += 32) {
        const w = from + <usize>t * row;
        v128.store(to, v128.load(w));
        v128.store(to, v128.load(w, 16), 16);
      }
    }
    for (; k < outPerGroup; k += 4, from += 16) {
      for (let t = 0; t < taps; t++, to += 16) v128.store(to, v128.load(from + <usize>t * row));
    }
  }
}

// @ts-ignore: decorator
@inline
function placeOf(scratch: usize, pixel: i32): usize {
  return load<u32>(scratch + (<usize>pixel << 2));
}

// @ts-ignore: decorator
@inline
function fourPixelsEight(
  first: usize,
  second: usize,
  third: usize,
  fourth: usize,
  weights: usize,
  firstOut: usize,
  secondOut: usize,
  thirdOut: usize,
  fourthOut: usize,
  perGroup: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  row: usize,
  pixel: usize,
  next: usize,
): void {
  let a0 = f32x4.splat(0), a1 = f32x4.splat(0), b0 = f32x4.splat(0), b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0), d0 = f32x4.splat(0), d1 = f32x4.splat(0);
  let w = weights;
  const toSecond = second - first, toThird = third - first, toFourth = fourth - first;
  const channels = <usize>perGroup << 2;
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      let s = first + <usize>i * row + <usize>j * pixel;
      const end = s + channels;
      for (; s < end; s += 4, w += next) {
        const w0 = v128.load(w), w1 = v128.load(w, 16);
        const a = v128.load32_splat(s);
        a0 = f32x4.add(a0, f32x4.mul(a, w0));
        a1 = f32x4.add(a1, f32x4.mul(a, w1));
        const b = v128.load32_splat(s + toSecond);
        b0 = f32x4.add(b0, f32x4.mul(b, w0));
        b1 = f32x4.add(b1, f32x4.mul(b, w1));
        const c = v128.load32_splat(s + toThird);
        c0 = f32x4.add(c0, f32x4.mul(c, w0));
        c1 = f32x4.add(c1, f32x4.mul(c, w1));
        const d = v128.load32_splat(s + toFourth);
        d0 = f32x4.add(d0, f32x4.mul(d, w0));
        d1 = f32x4.add(d1, f32x4.mul(d, w1));
      }
    }
  }
  v128.store(firstOut, a0);
  v128.store(firstOut, a1, 16);
  v128.store(secondOut, b0);
  v128.store(secondOut, b1, 16);
  v128.store(thirdOut, c0);
  v128.store(thirdOut, c1, 16);
  v128.store(fourthOut, d0);
  v128.store(fourthOut, d1, 16);
}

// @ts-ignore: decorator
@inline
function fourPixels(
  first: usize,
  second: usize,
  third: usize,
  fourth: usize,
  weights: usize,
  firstOut: usize,
  secondOut: usize,
  thirdOut: usize,
  fourthOut: usize,
  perGroup: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  row: usize,
  pixel: usize,
  next: usize,
): void {
  let a0 = f32x4.splat(0), b0 = f32x4.splat(0), c0 = f32x4.splat(0), d0 = f32x4.splat(0);
  let w = weights;
  const toSecond = second - first, toThird = third - first, toFourth = fourth - first;
  const channels = <usize>perGroup << 2;
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      let s = first + <usize>i * row + <usize>j * pixel;
      const end = s + channels;
      for (; s < end; s += 4, w += next) {
        const w0 = v128.load(w);
        a0 = f32x4.add(a0, f32x4.mul(v128.load32_splat(s), w0));
        b0 = f32x4.add(b0, f32x4.mul(v128.load32_splat(s + toSecond), w0));
        c0 = f32x4.add(c0, f32x4.mul(v128.load32_splat(s + toThird), w0));
        d0 = f32x4.add(d0, f32x4.mul(v128.load32_splat(s + toFourth), w0));
      }
    }
  }
  v128.store(firstOut, a0);
  v128.store(secondOut, b0);
  v128.store(thirdOut, c0);
  v128.store(fourthOut, d0);
}

// @ts-ignore: decorator
@inline
function onePixel(
  input: usize,
  weights: usize,
  out: usize,
  perGroup: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  row: usize,
  pixel: usize,
  next: usize,
): void {
  let sum = f32x4.splat(0);
  let w = weights;
  const channels = <usize>perGroup << 2;
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      let s = input + <usize>i * row + <usize>j * pixel;
      const end = s + channels;
      for (; s < end; s += 4, w += next) sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(s), v128.load(w)));
    }
  }
  v128.store(out, sum);
}
