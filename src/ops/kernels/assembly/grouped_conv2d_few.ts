// Grouped convolution on a few pixels: weights are read once or a few times, each line of memory whole, and taps outside of the map not at all.

/** Outputs of a pixel that are summed at once: eight registers. */
const WIDE = 32;

/**
 * @param x      [N, H, W, C]
 * @param filter [kh, kw, C / groups, K], K / groups divisible by 4
 * @param y      [N, H', W', K]
 * @param top    rows of zeros above the map, of which nothing is read; `left` columns
 */
export function groupedConv2dFew(
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
  top: i32,
  left: i32,
): void {
  const inputs = channels / groups;
  const perGroup = outs / groups;
  const places = outHeight * outWidth;
  for (let g = 0; g < groups; g++) {
    let k = g * perGroup;
    const end = k + perGroup;
    while (k < end) {
      const step = k + WIDE <= end ? WIDE : 4;
      // All pixels by some outputs: their weights stay in the cache.
      for (let place = 0; place < images * places; place++) {
        const n = place / places;
        const row = (place - n * places) / outWidth * stride - top;
        const column = place % outWidth * stride - left;
        const out = y + (<usize>(place * outs + k) << 2);
        for (let i = 0; i < step; i += 4) v128.store(out + (<usize>i << 2), f32x4.splat(0));
        for (let i = max(0, -row); i < min(kernelHeight, height - row); i++) {
          for (let j = max(0, -column); j < min(kernelWidth, width - column); j++) {
            const source = x + (<usize>(((n * height + row + i) * width + column + j) * channels + g * inputs) << 2);
            const weights = filter + (<usize>((i * kernelWidth + j) * inputs * outs + k) << 2);
            if (step == WIDE) addWide(source, weights, out, inputs, <usize>outs << 2);
            else addFour(source, weights, out, inputs, <usize>outs << 2);
          }
        }
      }
      k += step;
    }
  }
}

// @ts-ignore: decorator
@inline
function addWide(source: usize, weights: usize, out: usize, inputs: i32, next: usize): void {
  let a = v128.load(out), b = v128.load(out, 16), c = v128.load(out, 32), d = v128.load(out, 48);
  let e = v128.load(out, 64), f = v128.load(out, 80), g = v128.load(out, 96), h = v128.load(out, 112);
  let w = weights;
  const end = source + (<usize>inputs << 2);
  for (let s = source; s < end; s += 4, w += next) {
    const v = v128.load32_splat(s);
    a = f32x4.add(a, f32x4.mul(v, v128.load(w)));
    b = f32x4.add(b, f32x4.mul(v, v128.load(w, 16)));
    c = f32x4.add(c, f32x4.mul(v, v128.load(w, 32)));
    d = f32x4.add(d, f32x4.mul(v, v128.load(w, 48)));
    e = f32x4.add(e, f32x4.mul(v, v128.load(w, 64)));
    f = f32x4.add(f, f32x4.mul(v, v128.load(w, 80)));
    g = f32x4.add(g, f32x4.mul(v, v128.load(w, 96)));
    h = f32x4.add(h, f32x4.mul(v, v128.load(w, 112)));
  }
  v128.store(out, a);
  v128.store(out, b, 16);
  v128.store(out, c, 32);
  v128.store(out, d, 48);
  v128.store(out, e, 64);
  v128.store(out, f, 80);
  v128.store(out, g, 96);
  v128.store(out, h, 112);
}

// @ts-ignore: decorator
@inline
function addFour(source: usize, weights: usize, out: usize, inputs: i32, next: usize): void {
  let sum = v128.load(out);
  let w = weights;
  const end = source + (<usize>inputs << 2);
  for (let s = source; s < end; s += 4, w += next) sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(s), v128.load(w)));
  v128.store(out, sum);
}
