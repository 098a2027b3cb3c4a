// Products of matrices, four rows and eight columns at a time. Every number is summed in one order, however the rows are divided.

/** u[K / 8][count][8]: rows `first` to `first + count` of w [C, K] in panels of eight columns, for the panels from `firstPanel` up to `endPanel`. */
export function packPanels(w: usize, u: usize, outs: i32, first: i32, count: i32, firstPanel: i32, endPanel: i32): void {
  const row = <usize>outs << 2;
  for (let panel = firstPanel; panel < endPanel; panel++) {
    let from = w + <usize>first * row + (<usize>panel << 5);
    let to = u + ((<usize>panel * count) << 5);
    for (let c = 0; c < count; c++, from += row, to += 32) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
    }
  }
}

/**
 * y = x u, in each of the groups that the columns of x and of y fall into: of a group's columns of x those from `first` on, `count` of them, added to what y holds
 * unless `first` is 0; after the last of them with the bias added and rectified.
 * @param x      [P, C]
 * @param u      see `packPanels`, of a matrix [C / groups, K]
 * @param bias   [K], or 0
 * @param y      [P, K], K / groups divisible by 8
 * @param row    the rows from here up to `end` are computed
 */
export function products(
  x: usize,
  u: usize,
  bias: usize,
  y: usize,
  channels: i32,
  outs: i32,
  groups: i32,
  first: i32,
  count: i32,
  relu: i32,
  row: i32,
  end: i32,
): void {
  const pixel = <usize>channels << 2;
  const outPixel = <usize>outs << 2;
  const inputs = channels / groups;
  const perGroup = outs / groups;
  const last = first + count == inputs;
  const lowest = last && relu ? f32x4.splat(0) : f32x4.splat(-Infinity);
  for (let k = 0; k < outs; k += 8) {
    const source = x + (<usize>(k / perGroup * inputs + first) << 2);
    const panel = u + ((<usize>k * count) << 2);
    const column = y + (<usize>k << 2);
    const shift = last && bias ? bias + (<usize>k << 2) : 0;
    const s0 = shift ? v128.load(shift) : f32x4.splat(-0.0), s1 = shift ? v128.load(shift, 16) : f32x4.splat(-0.0);
    let p = row;
    for (; p + 4 <= end; p += 4) fourRows(source + <usize>p * pixel, pixel, panel, count, column + <usize>p * outPixel, outPixel, first > 0, s0, s1, lowest);
    for (; p < end; p++) oneRow(source + <usize>p * pixel, panel, count, column + <usize>p * outPixel, first > 0, s0, s1, lowest);
  }
}

// @ts-ignore: decorator
@inline
function fourRows(x: usize, pixel: usize, panel: usize, count: i32, y: usize, outPixel: usize, add: bool, s0: v128, s1: v128, lowest: v128): void {
  const y1 = y + outPixel, y2 = y1 + outPixel, y3 = y2 + outPixel;
  let a0 = f32x4.splat(0), a1 = f32x4.splat(0), b0 = f32x4.splat(0), b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0), d0 = f32x4.splat(0), d1 = f32x4.splat(0);
  let s = x;
  let w = panel;
  const end = s + (<usize>count << 2);
  for (; s < end; s += 4, w += 32) {
    const w0 = v128.load(w), w1 = v128.load(w, 16);
    const a = v128.load32_splat(s);
    a0 = f32x4.add(a0, f32x4.mul(a, w0));
    a1 = f32x4.add(a1, f32x4.mul(a, w1));
    const b = v128.load32_splat(s + pixel);
    b0 = f32x4.add(b0, f32x4.mul(b, w0));
    b1 = f32x4.add(b1, f32x4.mul(b, w1));
    const c = v128.load32_splat(s + 2 * pixel);
    c0 = f32x4.add(c0, f32x4.mul(c, w0));
    c1 = f32x4.add(c1, f32x4.mul(c, w1));
    const d = v128.load32_splat(s + 3 * pixel);
    d0 = f32x4.add(d0, f32x4.mul(d, w0));
    d1 = f32x4.add(d1, f32x4.mul(d, w1));
  }
  // Sums of sums are nearer to the truth than one long one.
  if (add) {
    a0 = f32x4.add(v128.load(y), a0), a1 = f32x4.add(v128.load(y, 16), a1), b0 = f32x4.add(v128.load(y1), b0), b1 = f32x4.add(v128.load(y1, 16), b1);
    c0 = f32x4.add(v128.load(y2), c0), c1 = f32x4.add(v128.load(y2, 16), c1), d0 = f32x4.add(v128.load(y3), d0), d1 = f32x4.add(v128.load(y3, 16), d1);
  }
  v128.store(y, f32x4.max(f32x4.add(a0, s0), lowest));
  v128.store(y, f32x4.max(f32x4.add(a1, s1), lowest), 16);
  v128.store(y1, f32x4.max(f32x4.add(b0, s0), lowest));
  v128.store(y1, f32x4.max(f32x4.add(b1, s1), lowest), 16);
  v128.store(y2, f32x4.max(f32x4.add(c0, s0), lowest));
  v128.store(y2, f32x4.max(f32x4.add(c1, s1), lowest), 16);
  v128.store(y3, f32x4.max(f32x4.add(d0, s0), lowest));
  v128.store(y3, f32x4.max(f32x4.add(d1, s1), lowest), 16);
}

// @ts-ignore: decorator
@inline
function oneRow(x: usize, panel: usize, count: i32, y: usize, add: bool, s0: v128, s1: v128, lowest: v128): void {
  let a0 = f32x4.splat(0), a1 = f32x4.splat(0);
  let s = x;
  let w = panel;
  const end = s + (<usize>count << 2);
  for (; s < end; s += 4, w += 32) {
    const a = v128.load32_splat(s);
    a0 = f32x4.add(a0, f32x4.mul(a, v128.load(w)));
    a1 = f32x4.add(a1, f32x4.mul(a, v128.load(w, 16)));
  }
  if (add) a0 = f32x4.add(v128.load(y), a0), a1 = f32x4.add(v128.load(y, 16), a1);
  v128.store(y, f32x4.max(f32x4.add(a0, s0), lowest));
  v128.store(y, f32x4.max(f32x4.add(a1, s1), lowest), 16);
}
