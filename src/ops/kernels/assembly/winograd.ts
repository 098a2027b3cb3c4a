// 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3) (Lavin and Gray 2016): four outputs of a channel take 16 products in the place of 36.
// Every output is computed from its own tile in one order of additions, however the tiles are divided.

/**
 * u[16][K / 8][C][8] = G g Gᵀ for the panels of eight outputs from `first` up to `end`.
 * @param filter [3, 3, C, K], where the weights of an input come `step` numbers after those of the one before
 */
export function winogradFilter(filter: usize, u: usize, channels: i32, outs: i32, step: i32, first: i32, end: i32): void {
  const tap = (<usize>channels * step) << 2;
  const plane = (<usize>channels * outs) << 2;
  const half = f32x4.splat(0.5);
  for (let c = 0; c < channels; c++) {
    for (let k = 8 * first; k < 8 * end; k += 4) {
      const g = filter + (<usize>(c * step + k) << 2);
      const to = u + (<usize>((k >> 3) * channels * 8 + c * 8 + (k & 7)) << 2);
      const g00 = v128.load(g), g01 = v128.load(g + tap), g02 = v128.load(g + 2 * tap);
      const g10 = v128.load(g + 3 * tap), g11 = v128.load(g + 4 * tap), g12 = v128.load(g + 5 * tap);
      const g20 = v128.load(g + 6 * tap), g21 = v128.load(g + 7 * tap), g22 = v128.load(g + 8 * tap);
      filterRow(to, plane, g00, g01, g02, half);
      const s0 = f32x4.add(g00, g20), s1 = f32x4.add(g01, g21), s2 = f32x4.add(g02, g22);
      filterRow(to + 4 * plane, plane, f32x4.mul(half, f32x4.add(s0, g10)), f32x4.mul(half, f32x4.add(s1, g11)), f32x4.mul(half, f32x4.add(s2, g12)), half);
      filterRow(to + 8 * plane, plane, f32x4.mul(half, f32x4.sub(s0, g10)), f32x4.mul(half, f32x4.sub(s1, g11)), f32x4.mul(half, f32x4.sub(s2, g12)), half);
      filterRow(to + 12 * plane, plane, g20, g21, g22, half);
    }
  }
}

// @ts-ignore: decorator
@inline
function filterRow(to: usize, plane: usize, a: v128, b: v128, c: v128, half: v128): void {
  const s = f32x4.add(a, c);
  v128.store(to, a);
  v128.store(to + plane, f32x4.mul(half, f32x4.add(s, b)));
  v128.store(to + 2 * plane, f32x4.mul(half, f32x4.sub(s, b)));
  v128.store(to + 3 * plane, c);
}

/** Bytes of {@link winogradTiles}' scratch: a block's transformed inputs and outputs, then one patch of a tile at the border. */
export function winogradScratch(channels: i32, outs: i32, block: i32): i32 {
  return 4 * (16 * block * (channels + outs) + 16 * channels);
}

/**
 * y = activation(convolution(x, filter) + bias) for the tiles of 2x2 outputs from `first` up to `end`, counted through images, rows and columns.
 * @param x        [N, H, W, C], C divisible by 4
 * @param u        the filter's transform, K divisible by 8
 * @param bias     [K], or 0
 * @param y        [N, H', W', K]
 * @param inStep   numbers from a pixel of x to the next: C, or more where x is a part of a map's channels
 * @param outStep  the same of y
 * @param padTop   zeros above; below and to the right they are as many as the output reaches
 * @param block    tiles that are computed at once, so that what lies between the passes stays in the cache; divisible by 4
 */
export function winogradTiles(
  x: usize,
  u: usize,
  bias: usize,
  y: usize,
  height: i32,
  width: i32,
  channels: i32,
  outHeight: i32,
  outWidth: i32,
  outs: i32,
  padTop: i32,
  padLeft: i32,
  relu: i32,
  inStep: i32,
  outStep: i32,
  first: i32,
  end: i32,
  block: i32,
  scratch: usize,
): void {
  const step = <usize>inStep << 2;
  const v = scratch;
  const m = v + ((<usize>16 * block * channels) << 2);
  const patch = m + ((<usize>16 * block * outs) << 2);
  const across = (outWidth + 1) >> 1;
  const perImage = across * ((outHeight + 1) >> 1);
  const pixel = <usize>channels << 2;
  const plane = <usize>block * pixel;
  const outPlane = (<usize>block * outs) << 2;
  const lowest = relu ? f32x4.splat(0) : f32x4.splat(-Infinity);
  for (let start = first; start < end; start += block) {
    const count = min(block, end - start);
    for (let t = 0; t < count; t++) {
      const image = (start + t) / perImage;
      const place = start + t - image * perImage;
      const top = 2 * (place / across) - padTop;
      const left = 2 * (place % across) - padLeft;
      const map = x + <usize>(image * height * width) * step;
      transformTile(map, height, width, top, left, step, pixel, v + <usize>t * pixel, plane, 16, patch);
    }
    for (let k = 0; k < 16; k++)
      multiply(v + <usize>k * plane, u + ((<usize>k * channels * outs) << 2), m + <usize>k * outPlane, (count + 3) >> 2, channels, outs);
    for (let t = 0; t < count; t++) {
      const image = (start + t) / perImage;
      const place = start + t - image * perImage;
      const p = 2 * (place / across);
      const q = 2 * (place % across);
      const at = (<usize>((image * outHeight + p) * outWidth + q) * outStep) << 2;
      transformOutput(m + ((<usize>t * outs) << 2), outPlane, bias, y + at, outs, outStep, outWidth, p + 1 < outHeight, q + 1 < outWidth, lowest);
    }
  }
}

/**
 * v = Bᵀ d B of the tile of 4x4 whose corner is at `top` and `left` of a map, with zeros for what lies outside, all channels.
 * @param step  bytes from a pixel of the map to the next; `pixel` those of its channels
 * @param quad  bytes from four channels of v to the next four
 * @param patch memory for one tile
 */
export function transformTile(
  map: usize,
  height: i32,
  width: i32,
  top: i32,
  left: i32,
  step: usize,
  pixel: usize,
  v: usize,
  plane: usize,
  quad: usize,
  patch: usize,
): void {
  if (top >= 0 && left >= 0 && top + 4 <= height && left + 4 <= width) {
    transformInput(map + <usize>(top * width + left) * step, <usize>width * step, step, pixel, v, plane, quad);
    return;
  }
  for (let i = 0; i < 4; i++) {
    for (let j = 0; j < 4; j++) {
      const to = patch + <usize>(4 * i + j) * pixel;
      if (top + i < 0 || top + i >= height || left + j < 0 || left + j >= width) memory.fill(to, 0, pixel);
      else memory.copy(to, map + <usize>((top + i) * width + left + j) * step, pixel);
    }
  }
  transformInput(patch, 4 * pixel, pixel, pixel, v, plane, quad);
}

/** v = Bᵀ d B of one tile, all channels. */
function transformInput(d: usize, row: usize, step: usize, pixel: usize, v: usize, plane: usize, quad: usize): void {
  let to = v;
  for (let c: usize = 0; c < pixel; c += 16, to += quad) {
    const s = d + c;
    const d00 = v128.load(s), d01 = v128.load(s + step), d02 = v128.load(s + 2 * step), d03 = v128.load(s + 3 * step);
    const s1 = s + row;
    const d10 = v128.load(s1), d11 = v128.load(s1 + step), d12 = v128.load(s1 + 2 * step), d13 = v128.load(s1 + 3 * step);
    const s2 = s1 + row;
    const d20 = v128.load(s2), d21 = v128.load(s2 + step), d22 = v128.load(s2 + 2 * step), d23 = v128.load(s2 + 3 * step);
    const s3 = s2 + row;
    const d30 = v128.load(s3), d31 = v128.load(s3 + step), d32 = v128.load(s3 + 2 * step), d33 = v128.load(s3 + 3 * step);
    inputRow(to, plane, f32x4.sub(d00, d20), f32x4.sub(d01, d21), f32x4.sub(d02, d22), f32x4.sub(d03, d23));
    inputRow(to + 4 * plane, plane, f32x4.add(d10, d20), f32x4.add(d11, d21), f32x4.add(d12, d22), f32x4.add(d13, d23));
    inputRow(to + 8 * plane, plane, f32x4.sub(d20, d10), f32x4.sub(d21, d11), f32x4.sub(d22, d12), f32x4.sub(d23, d13));
    inputRow(to + 12 * plane, plane, f32x4.sub(d10, d30), f32x4.sub(d11, d31), f32x4.sub(d12, d32), f32x4.sub(d13, d33));
  }
}

// @ts-ignore: decorator
@inline
function inputRow(to: usize, plane: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, f32x4.sub(a, c));
  v128.store(to + plane, f32x4.add(b, c));
  v128.store(to + 2 * plane, f32x4.sub(c, b));
  v128.store(to + 3 * plane, f32x4.sub(b, d));
}

/** m[4 quads, K] = v[4 quads, C] u, with u in panels of 8 columns. */
function multiply(v: usize, u: usize, m: usize, quads: i32, channels: i32, outs: i32): void {
  const row = <usize>channels << 2;
  const outRow = <usize>outs << 2;
  for (let k = 0; k < outs; k += 8) {
    const panel = u + ((<usize>k * channels) << 2);
    for (let t = 0; t < quads; t++) {
      let a0 = f32x4.splat(0), a1 = f32x4.splat(0), b0 = f32x4.splat(0), b1 = f32x4.splat(0);
      let c0 = f32x4.splat(0), c1 = f32x4.splat(0), d0 = f32x4.splat(0), d1 = f32x4.splat(0);
      let s = v + <usize>(4 * t) * row;
      let w = panel;
      const end = s + row;
      for (; s < end; s += 4, w += 32) {
        const w0 = v128.load(w), w1 = v128.load(w, 16);
        const a = v128.load32_splat(s);
        a0 = f32x4.add(a0, f32x4.mul(a, w0));
        a1 = f32x4.add(a1, f32x4.mul(a, w1));
        const b = v128.load32_splat(s + row);
        b0 = f32x4.add(b0, f32x4.mul(b, w0));
        b1 = f32x4.add(b1, f32x4.mul(b, w1));
        const c = v128.load32_splat(s + 2 * row);
        c0 = f32x4.add(c0, f32x4.mul(c, w0));
        c1 = f32x4.add(c1, f32x4.mul(c, w1));
        const d = v128.load32_splat(s + 3 * row);
        d0 = f32x4.add(d0, f32x4.mul(d, w0));
        d1 = f32x4.add(d1, f32x4.mul(d, w1));
      }
      const to = m + <usize>(4 * t) * outRow + (<usize>k << 2);
      v128.store(to, a0);
      v128.store(to, a1, 16);
      v128.store(to + outRow, b0);
      v128.store(to + outRow, b1, 16);
      v128.store(to + 2 * outRow, c0);
      v128.store(to + 2 * outRow, c1, 16);
      v128.store(to + 3 * outRow, d0);
      v128.store(to + 3 * outRow, d1, 16);
    }
  }
}

/** y = Aᵀ m A of one tile, all channels, with what follows a convolution. */
function transformOutput(m: usize, plane: usize, bias: usize, y: usize, outs: i32, outStep: i32, outWidth: i32, below: bool, right: bool, lowest: v128): void {
  const pixel = <usize>outs << 2;
  const step = <usize>outStep << 2;
  const row = step * <usize>outWidth;
  for (let k: usize = 0; k < pixel; k += 16) {
    const s = m + k;
    const m00 = v128.load(s), m01 = v128.load(s + plane), m02 = v128.load(s + 2 * plane), m03 = v128.load(s + 3 * plane);
    const m10 = v128.load(s + 4 * plane), m11 = v128.load(s + 5 * plane), m12 = v128.load(s + 6 * plane), m13 = v128.load(s + 7 * plane);
    const m20 = v128.load(s + 8 * plane), m21 = v128.load(s + 9 * plane), m22 = v128.load(s + 10 * plane), m23 = v128.load(s + 11 * plane);
    const m30 = v128.load(s + 12 * plane), m31 = v128.load(s + 13 * plane), m32 = v128.load(s + 14 * plane), m33 = v128.load(s + 15 * plane);
    const shift = bias ? v128.load(bias + k) : f32x4.splat(0);
    const a0 = f32x4.add(f32x4.add(m00, m10), m20), a1 = f32x4.add(f32x4.add(m01, m11), m21);
    const a2 = f32x4.add(f32x4.add(m02, m12), m22), a3 = f32x4.add(f32x4.add(m03, m13), m23);
    finish(y + k, f32x4.add(f32x4.add(a0, a1), a2), shift, lowest);
    if (right) finish(y + step + k, f32x4.sub(f32x4.sub(a1, a2), a3), shift, lowest);
    if (!below) continue;
    const b0 = f32x4.sub(f32x4.sub(m10, m20), m30), b1 = f32x4.sub(f32x4.sub(m11, m21), m31);
    const b2 = f32x4.sub(f32x4.sub(m12, m22), m32), b3 = f32x4.sub(f32x4.sub(m13, m23), m33);
    finish(y + row + k, f32x4.add(f32x4.add(b0, b1), b2), shift, lowest);
    if (right) finish(y + row + step + k, f32x4.sub(f32x4.sub(b1, b2), b3), shift, lowest);
  }
}

// @ts-ignore: decorator
@inline
function finish(to: usize, sum: v128, shift: v128, lowest: v128): void {
  v128.store(to, f32x4.max(f32x4.add(sum, shift), lowest));
}
