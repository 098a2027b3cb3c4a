// Grouped convolution, four pixels of a row and four or eight outputs of a group at a time: sums of inputs of the group alone.

/**
 * @param x       [N, H, W, C], with the zeros around it that the output reaches
 * @param filter  [kh, kw, C / groups, K], K / groups divisible by 4
 * @param y       [N, H', W', K]
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
): void {
  const perGroup = channels / groups;
  const outPerGroup = outs / groups;
  const pixel = <usize>channels << 2;
  const row = pixel * <usize>width;
  const step = pixel * <usize>stride;
  const outPixel = <usize>outs << 2;
  const fours = outWidth >= 4;
  for (let n = 0; n < images; n++) {
    for (let p = 0; p < outHeight; p++) {
      const source = x + <usize>(n * height + p * stride) * row;
      const target = y + <usize>(n * outHeight + p) * <usize>outWidth * outPixel;
      for (let g = 0; g < groups; g++) {
        const input = source + (<usize>(g * perGroup) << 2);
        let k = g * outPerGroup;
        const end = k + outPerGroup;
        for (; k + 8 <= end; k += 8) {
          const weights = filter + (<usize>k << 2);
          const out = target + (<usize>k << 2);
          // The last four of a row once more where it does not end with them: one pixel alone takes nearly as long as four.
          for (let q = 0; fours && q < outWidth; q += 4) {
            const at = min(q, outWidth - 4);
            fourPixelsEight(input + <usize>at * step, weights, out + <usize>at * outPixel, perGroup, kernelHeight, kernelWidth, row, pixel, step, outPixel);
          }
          for (let q = 0; !fours && q < outWidth; q++) {
            onePixel(input + <usize>q * step, weights, out + <usize>q * outPixel, perGroup, kernelHeight, kernelWidth, row, pixel, outPixel);
            onePixel(input + <usize>q * step, weights + 16, out + <usize>q * outPixel + 16, perGroup, kernelHeight, kernelWidth, row, pixel, outPixel);
          }
        }
        for (; k < end; k += 4) {
          const weights = filter + (<usize>k << 2);
          const out = target + (<usize>k << 2);
          for (let q = 0; fours && q < outWidth; q += 4) {
            const at = min(q, outWidth - 4);
            fourPixels(input + <usize>at * step, weights, out + <usize>at * outPixel, perGroup, kernelHeight, kernelWidth, row, pixel, step, outPixel);
          }
          for (let q = 0; !fours && q < outWidth; q++)
            onePixel(input + <usize>q * step, weights, out + <usize>q * outPixel, perGroup, kernelHeight, kernelWidth, row, pixel, outPixel);
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function fourPixelsEight(
  input: usize,
  weights: usize,
  out: usize,
  perGroup: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  row: usize,
  pixel: usize,
  step: usize,
  outPixel: usize,
): void {
  let a0 = f32x4.splat(0), a1 = f32x4.splat(0), b0 = f32x4.splat(0), b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0), d0 = f32x4.splat(0), d1 = f32x4.splat(0);
  let w = weights;
  const channels = <usize>perGroup << 2;
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      let s = input + <usize>i * row + <usize>j * pixel;
      const end = s + channels;
      for (; s < end; s += 4, w += outPixel) {
        const w0 = v128.load(w), w1 = v128.load(w, 16);
        const a = v128.load32_splat(s);
        a0 = f32x4.add(a0, f32x4.mul(a, w0));
        a1 = f32x4.add(a1, f32x4.mul(a, w1));
        const b = v128.load32_splat(s + step);
        b0 = f32x4.add(b0, f32x4.mul(b, w0));
        b1 = f32x4.add(b1, f32x4.mul(b, w1));
        const c = v128.load32_splat(s + 2 * step);
        c0 = f32x4.add(c0, f32x4.mul(c, w0));
        c1 = f32x4.add(c1, f32x4.mul(c, w1));
        const d = v128.load32_splat(s + 3 * step);
        d0 = f32x4.add(d0, f32x4.mul(d, w0));
        d1 = f32x4.add(d1, f32x4.mul(d, w1));
      }
    }
  }
  v128.store(out, a0);
  v128.store(out, a1, 16);
  v128.store(out + outPixel, b0);
  v128.store(out + outPixel, b1, 16);
  v128.store(out + 2 * outPixel, c0);
  v128.store(out + 2 * outPixel, c1, 16);
  v128.store(out + 3 * outPixel, d0);
  v128.store(out + 3 * outPixel, d1, 16);
}

// @ts-ignore: decorator
@inline
function fourPixels(
  input: usize,
  weights: usize,
  out: usize,
  perGroup: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  row: usize,
  pixel: usize,
  step: usize,
  outPixel: usize,
): void {
  let a0 = f32x4.splat(0), b0 = f32x4.splat(0), c0 = f32x4.splat(0), d0 = f32x4.splat(0);
  let w = weights;
  const channels = <usize>perGroup << 2;
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      let s = input + <usize>i * row + <usize>j * pixel;
      const end = s + channels;
      for (; s < end; s += 4, w += outPixel) {
        const w0 = v128.load(w);
        a0 = f32x4.add(a0, f32x4.mul(v128.load32_splat(s), w0));
        b0 = f32x4.add(b0, f32x4.mul(v128.load32_splat(s + step), w0));
        c0 = f32x4.add(c0, f32x4.mul(v128.load32_splat(s + 2 * step), w0));
        d0 = f32x4.add(d0, f32x4.mul(v128.load32_splat(s + 3 * step), w0));
      }
    }
  }
  v128.store(out, a0);
  v128.store(out + outPixel, b0);
  v128.store(out + 2 * outPixel, c0);
  v128.store(out + 3 * outPixel, d0);
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
  outPixel: usize,
): void {
  let sum = f32x4.splat(0);
  let w = weights;
  const channels = <usize>perGroup << 2;
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      let s = input + <usize>i * row + <usize>j * pixel;
      const end = s + channels;
      for (; s < end; s += 4, w += outPixel) sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(s), v128.load(w)));
    }
  }
  v128.store(out, sum);
}
