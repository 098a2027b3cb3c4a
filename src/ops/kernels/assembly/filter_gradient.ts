// The gradient of a filter: for every input and output of the convolution the sum over all places of their product. Of 3x3 filters at stride 1 by the transposes of
// Winograd's transforms (see winograd.ts), as 16 such sums over tiles.
import { transformTile } from './winograd';

/**
 * The tiles of 2x2 outputs from `first` up to `end`, transformed: v = Bᵀ d B as [16][C / 4][capacity][4], m = A dy Aᵀ as [16][K / 8][capacity][8].
 * @param x      [N, H, W, C], C divisible by 4
 * @param dy     [N, H', W', K], K divisible by 8
 * @param padTop zeros above; below and to the right they are as many as the output reaches
 * @param start  the tile that stands first in v and m
 * @param patch  memory for one tile of x
 */
export function gradientTiles(
  x: usize,
  dy: usize,
  v: usize,
  m: usize,
  height: i32,
  width: i32,
  channels: i32,
  outHeight: i32,
  outWidth: i32,
  outs: i32,
  padTop: i32,
  padLeft: i32,
  start: i32,
  first: i32,
  end: i32,
  capacity: i32,
  patch: usize,
): void {
  const pixel = <usize>channels << 2;
  const outPixel = <usize>outs << 2;
  const quad = <usize>capacity << 4;
  const plane = <usize>capacity * pixel;
  const across = (outWidth + 1) >> 1;
  const perImage = across * ((outHeight + 1) >> 1);
  for (let t = first; t < end; t++) {
    const image = t / perImage;
    const place = t - image * perImage;
    const p = 2 * (place / across);
    const q = 2 * (place % across);
    const map = x + <usize>(image * height * width) * pixel;
    transformTile(map, height, width, p - padTop, q - padLeft, pixel, pixel, v + (<usize>(t - start) << 4), plane, quad, patch);
    const at = dy + <usize>((image * outHeight + p) * outWidth + q) * outPixel;
    transformGradient(at, <usize>outWidth * outPixel, outPixel, p + 1 < outHeight, q + 1 < outWidth, m + (<usize>(t - start) << 5), capacity);
  }
}

/** m = A dy Aᵀ of one tile, all channels. */
function transformGradient(dy: usize, row: usize, pixel: usize, below: bool, right: bool, m: usize, capacity: i32): void {
  const plane = <usize>capacity * pixel;
  const panel = <usize>capacity << 5;
  const none = f32x4.splat(0);
  for (let k: usize = 0; k < pixel; k += 16) {
    const s = dy + k;
    const y00 = v128.load(s);
    const y01 = right ? v128.load(s + pixel) : none;
    const y10 = below ? v128.load(s + row) : none;
    const y11 = below && right ? v128.load(s + row + pixel) : none;
    const to = m + (k >> 5) * panel + (k & 16);
    gradientLine(to, plane, y00, y01);
    gradientLine(to + 4 * plane, plane, f32x4.add(y00, y10), f32x4.add(y01, y11));
    gradientLine(to + 8 * plane, plane, f32x4.sub(y00, y10), f32x4.sub(y01, y11));
    gradientLine(to + 12 * plane, plane, f32x4.neg(y10), f32x4.neg(y11));
  }
}

// @ts-ignore: decorator
@inline
function gradientLine(to: usize, plane: usize, a: v128, b: v128): void {
  v128.store(to, a);
  v128.store(to + plane, f32x4.add(a, b));
  v128.store(to + 2 * plane, f32x4.sub(a, b));
  v128.store(to + 3 * plane, f32x4.neg(b));
}

/**
 * The rows of two matrices from `first` up to `end`, rearranged: v is x as [C / 4][capacity][4], m is dy as [K / 8][capacity][8]. For 1x1 filters a row is a pixel.
 * @param x     [P, C]
 * @param dy    [P, K]
 * @param start the row that stands first in v and m
 */
export function gradientRows(x: usize, dy: usize, v: usize, m: usize, channels: i32, outs: i32, start: i32, first: i32, end: i32, capacity: i32): void {
  const quad = <usize>capacity << 4;
  const panel = <usize>capacity << 5;
  for (let t = first; t < end; t++) {
    let from = x + ((<usize>t * channels) << 2);
    let to = v + (<usize>(t - start) << 4);
    for (let c = 0; c < channels; c += 4, from += 16, to += quad) v128.store(to, v128.load(from));
    from = dy + ((<usize>t * outs) << 2);
    to = m + (<usize>(t - start) << 5);
    for (let k = 0; k < outs; k += 8, from += 32, to += panel) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
    }
  }
}

/**
 * sums[plane][c][k] = the sum of v[plane][c][t] m[plane][k][t] over `count` t, added to what stands there if `add`; for the parts from `first` up to `end`, of
 * which each plane has `perPlane`, equal shares of the outputs.
 */
export function gradientSums(
  v: usize,
  m: usize,
  sums: usize,
  channels: i32,
  outs: i32,
  count: i32,
  capacity: i32,
  add: i32,
  perPlane: i32,
  first: i32,
  end: i32,
): void {
  const row = <usize>outs << 2;
  const panels = outs >> 3;
  for (let part = first; part < end; part++) {
    const plane = part / perPlane;
    const share = part - plane * perPlane;
    const input = v + <usize>plane * <usize>channels * (<usize>capacity << 2);
    const gradient = m + <usize>plane * <usize>outs * (<usize>capacity << 2);
    const target = sums + <usize>plane * <usize>channels * row;
    for (let panel = share * panels / perPlane; panel < (share + 1) * panels / perPlane; panel++) {
      const w = gradient + <usize>panel * (<usize>capacity << 5);
      for (let c = 0; c < channels; c += 4)
        sumQuad(input + <usize>c * (<usize>capacity << 2), w, target + <usize>c * row + (<usize>panel << 5), row, count, add != 0);
    }
  }
}

// @ts-ignore: decorator
@inline
function sumQuad(v: usize, m: usize, to: usize, row: usize, count: i32, add: bool): void {
  let a0 = f32x4.splat(0), a1 = f32x4.splat(0), b0 = f32x4.splat(0), b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0), d0 = f32x4.splat(0), d1 = f32x4.splat(0);
  let s = v;
  let w = m;
  const end = v + (<usize>count << 4);
  for (; s < end; s += 16, w += 32) {
    const w0 = v128.load(w), w1 = v128.load(w, 16);
    const a = v128.load32_splat(s);
    a0 = f32x4.add(a0, f32x4.mul(a, w0));
    a1 = f32x4.add(a1, f32x4.mul(a, w1));
    const b = v128.load32_splat(s, 4);
    b0 = f32x4.add(b0, f32x4.mul(b, w0));
    b1 = f32x4.add(b1, f32x4.mul(b, w1));
    const c = v128.load32_splat(s, 8);
    c0 = f32x4.add(c0, f32x4.mul(c, w0));
    c1 = f32x4.add(c1, f32x4.mul(c, w1));
    const d = v128.load32_splat(s, 12);
    d0 = f32x4.add(d0, f32x4.mul(d, w0));
    d1 = f32x4.add(d1, f32x4.mul(d, w1));
  }
  // Sums of sums are nearer to the truth than one long one.
  const to1 = to + row, to2 = to1 + row, to3 = to2 + row;
  v128.store(to, add ? f32x4.add(v128.load(to), a0) : a0);
  v128.store(to, add ? f32x4.add(v128.load(to, 16), a1) : a1, 16);
  v128.store(to1, add ? f32x4.add(v128.load(to1), b0) : b0);
  v128.store(to1, add ? f32x4.add(v128.load(to1, 16), b1) : b1, 16);
  v128.store(to2, add ? f32x4.add(v128.load(to2), c0) : c0);
  v128.store(to2, add ? f32x4.add(v128.load(to2, 16), c1) : c1, 16);
  v128.store(to3, add ? f32x4.add(v128.load(to3), d0) : d0);
  v128.store(to3, add ? f32x4.add(v128.load(to3, 16), d1) : d1, 16);
}

/** The gradient of a 3x3 filter, [3, 3, C, K], from its 16 sums [16][C][K]: Gᵀ s G. */
export function gradientFilter(sums: usize, filter: usize, channels: i32, outs: i32): void {
  const plane = (<usize>channels * outs) << 2;
  const half = f32x4.splat(0.5);
  for (let at: usize = 0; at < plane; at += 16) {
    const s = sums + at;
    const s00 = v128.load(s), s01 = v128.load(s + plane), s02 = v128.load(s + 2 * plane), s03 = v128.load(s + 3 * plane);
    const s10 = v128.load(s + 4 * plane), s11 = v128.load(s + 5 * plane), s12 = v128.load(s + 6 * plane), s13 = v128.load(s + 7 * plane);
    const s20 = v128.load(s + 8 * plane), s21 = v128.load(s + 9 * plane), s22 = v128.load(s + 10 * plane), s23 = v128.load(s + 11 * plane);
    const s30 = v128.load(s + 12 * plane), s31 = v128.load(s + 13 * plane), s32 = v128.load(s + 14 * plane), s33 = v128.load(s + 15 * plane);
    const h0 = f32x4.mul(half, f32x4.add(s10, s20)), h1 = f32x4.mul(half, f32x4.add(s11, s21));
    const h2 = f32x4.mul(half, f32x4.add(s12, s22)), h3 = f32x4.mul(half, f32x4.add(s13, s23));
    const to = filter + at;
    filterTaps(to, plane, f32x4.add(s00, h0), f32x4.add(s01, h1), f32x4.add(s02, h2), f32x4.add(s03, h3), half);
    // prettier-ignore
    filterTaps(
      to + 3 * plane, plane, f32x4.mul(half, f32x4.sub(s10, s20)), f32x4.mul(half, f32x4.sub(s11, s21)),
      f32x4.mul(half, f32x4.sub(s12, s22)), f32x4.mul(half, f32x4.sub(s13, s23)), half,
    );
    filterTaps(to + 6 * plane, plane, f32x4.add(h0, s30), f32x4.add(h1, s31), f32x4.add(h2, s32), f32x4.add(h3, s33), half);
  }
}

// @ts-ignore: decorator
@inline
function filterTaps(to: usize, tap: usize, a: v128, b: v128, c: v128, d: v128, half: v128): void {
  const middle = f32x4.mul(half, f32x4.add(b, c));
  v128.store(to, f32x4.add(a, middle));
  v128.store(to + tap, f32x4.mul(half, f32x4.sub(b, c)));
  v128.store(to + 2 * tap, f32x4.add(middle, d));
}
