// RoIAlign as two small matrix products per region, out = Ay X Ax^T, over NHWC float32.
//
// The rows of Ay and Ax are sparse and are kept as lists of (position, weight). A region is a record of ten 32-bit words that the
// host writes: its map's first pixel, H, W, its row of the output (pointers); start y, start x, bin height, bin width (f32);
// samples per bin along y, x.

const RECORD: usize = 40;

/** The taps of one axis: for every bin a count at `counts`, and at `taps` + bin * 2g * 8 that many (index i32, weight f32). */
function axisTaps(counts: usize, taps: usize, start: f32, bin: f32, bins: i32, g: i32, size: i32): void {
  const share: f32 = 1.0 / <f32>max(g, 1);
  for (let b = 0; b < bins; b++) {
    const list = taps + (<usize>(b * g) << 4);
    let n: i32 = 0;
    for (let i = 0; i < g; i++) {
      let v: f32 = start + <f32>b * bin + ((<f32>i + 0.5) * bin) / <f32>g;
      if (!(v >= -1.0 && v <= <f32>size)) continue;
      if (v < 0) v = 0;
      let low = <i32>v;
      let fraction: f32 = v - <f32>low;
      if (low >= size - 1) {
        low = size - 1;
        fraction = 0;
      }
      n = addTap(list, n, low, (1 - fraction) * share);
      if (fraction > 0) n = addTap(list, n, low + 1, fraction * share);
    }
    store<i32>(counts + (<usize>b << 2), n);
  }
}

/** Adds to one of the last two taps when it is the same pixel (samples are monotone), else appends. */
function addTap(list: usize, n: i32, index: i32, weight: f32): i32 {
  for (let k = n - 1; k >= 0 && k >= n - 2; k--) {
    const at = list + (<usize>k << 3);
    if (load<i32>(at) == index) {
      store<f32>(at, load<f32>(at, 4) + weight, 4);
      return n;
    }
  }
  const at = list + (<usize>n << 3);
  store<i32>(at, index);
  store<f32>(at, weight, 4);
  return n + 1;
}

/** Lists the distinct columns that the x taps touch at `columns` and rewrites the taps' indices into that list. */
function compactColumns(counts: usize, taps: usize, bins: i32, g: i32, columns: usize): i32 {
  let n: i32 = 0, least: i32 = i32.MAX_VALUE, most: i32 = -1;
  for (let b = 0; b < bins; b++) {
    const list = taps + (<usize>(b * g) << 4);
    const count = load<i32>(counts + (<usize>b << 2));
    for (let k = 0; k < count; k++) {
      const at = list + (<usize>k << 3);
      const x = load<i32>(at);
      let slot: i32 = -1;
      if (x >= least && x <= most) {
        for (let s = n - 1; s >= 0; s--) {
          if (load<i32>(columns + (<usize>s << 2)) == x) {
            slot = s;
            break;
          }
        }
      }
      if (slot < 0) {
        slot = n++;
        store<i32>(columns + (<usize>slot << 2), x);
        least = min(least, x);
        most = max(most, x);
      }
      store<i32>(at, slot);
    }
  }
  return n;
}

/** target[0..length) = sum over the taps of weight * source[index * stride + 0..length); strides in bytes, length in floats. */
// @ts-ignore: decorator
@inline
function gather(target: usize, source: usize, list: usize, count: i32, stride: usize, length: i32): void {
  let c: i32 = 0;
  const end = list + (<usize>count << 3);
  for (; c + 16 <= length; c += 16) {
    const offset = <usize>c << 2;
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    for (let at = list; at < end; at += 8) {
      const w = v128.load32_splat(at, 4);
      const p = source + <usize>load<i32>(at) * stride + offset;
      a0 = f32x4.add(a0, f32x4.mul(w, v128.load(p)));
      a1 = f32x4.add(a1, f32x4.mul(w, v128.load(p, 16)));
      a2 = f32x4.add(a2, f32x4.mul(w, v128.load(p, 32)));
      a3 = f32x4.add(a3, f32x4.mul(w, v128.load(p, 48)));
    }
    const t = target + offset;
    v128.store(t, a0);
    v128.store(t, a1, 16);
    v128.store(t, a2, 32);
    v128.store(t, a3, 48);
  }
  for (; c + 4 <= length; c += 4) {
    const offset = <usize>c << 2;
    let a = f32x4.splat(0);
    for (let at = list; at < end; at += 8) {
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(at, 4), v128.load(source + <usize>load<i32>(at) * stride + offset)));
    }
    v128.store(target + offset, a);
  }
  for (; c < length; c++) {
    const offset = <usize>c << 2;
    let a: f32 = 0;
    for (let at = list; at < end; at += 8) a += load<f32>(at, 4) * load<f32>(source + <usize>load<i32>(at) * stride + offset);
    store<f32>(target + offset, a);
  }
}

/** target[0..length) += weight * source[0..length). */
// @ts-ignore: decorator
@inline
function accumulate(target: usize, source: usize, weight: f32, length: i32): void {
  const w = f32x4.splat(weight);
  let c: i32 = 0;
  for (; c + 16 <= length; c += 16) {
    const t = target + (<usize>c << 2), s = source + (<usize>c << 2);
    v128.store(t, f32x4.add(v128.load(t), f32x4.mul(w, v128.load(s))));
    v128.store(t, f32x4.add(v128.load(t, 16), f32x4.mul(w, v128.load(s, 16))), 16);
    v128.store(t, f32x4.add(v128.load(t, 32), f32x4.mul(w, v128.load(s, 32))), 32);
    v128.store(t, f32x4.add(v128.load(t, 48), f32x4.mul(w, v128.load(s, 48))), 48);
  }
  for (; c < length; c++) {
    const t = target + (<usize>c << 2);
    store<f32>(t, load<f32>(t) + weight * load<f32>(source + (<usize>c << 2)));
  }
}

/**
 * Pools `count` regions. Scratch: 4 (P + Q) bytes of counts, 16 P gy of y taps, 16 Q gx of x taps, 8 Q gx of columns, then, aligned
 * to 16, one pixel of C floats for each column.
 */
export function roiAlignForward(records: usize, count: i32, P: i32, Q: i32, C: i32, scratch: usize): void {
  const pixel = <usize>C << 2;
  for (let r = 0; r < count; r++, records += RECORD) {
    const map = load<usize>(records), H = load<i32>(records, 4), W = load<i32>(records, 8);
    let out = load<usize>(records, 12);
    const gy = load<i32>(records, 32), gx = load<i32>(records, 36);
    const yCounts = scratch, xCounts = yCounts + (<usize>P << 2);
    const yTaps = xCounts + (<usize>Q << 2), xTaps = yTaps + (<usize>(P * gy) << 4);
    const columns = xTaps + (<usize>(Q * gx) << 4);
    axisTaps(yCounts, yTaps, load<f32>(records, 16), load<f32>(records, 24), P, gy, H);
    axisTaps(xCounts, xTaps, load<f32>(records, 20), load<f32>(records, 28), Q, gx, W);
    const n = compactColumns(xCounts, xTaps, Q, gx, columns);
    const strip = (columns + (<usize>n << 2) + 15) & ~15;
    for (let p = 0; p < P; p++) {
      const yCount = load<i32>(yCounts + (<usize>p << 2));
      if (yCount == 0 || n == 0) {
        memory.fill(out, 0, <usize>Q * pixel);
        out += <usize>Q * pixel;
        continue;
      }
      const yList = yTaps + (<usize>(p * gy) << 4);
      for (let u = 0; u < n; u++) {
        const x = <usize>load<i32>(columns + (<usize>u << 2));
        gather(strip + <usize>u * pixel, map + x * pixel, yList, yCount, <usize>W * pixel, C);
      }
      for (let q = 0; q < Q; q++, out += pixel) {
        gather(out, strip, xTaps + (<usize>(q * gx) << 4), load<i32>(xCounts + (<usize>q << 2)), pixel, C);
      }
    }
  }
}

/** Adds the regions' gradients (at the records' output rows) into the maps, which the host has zeroed. Scratch as in the forward pass. */
export function roiAlignBackward(records: usize, count: i32, P: i32, Q: i32, C: i32, scratch: usize): void {
  const pixel = <usize>C << 2;
  for (let r = 0; r < count; r++, records += RECORD) {
    const map = load<usize>(records), H = load<i32>(records, 4), W = load<i32>(records, 8);
    let dy = load<usize>(records, 12);
    const gy = load<i32>(records, 32), gx = load<i32>(records, 36);
    const yCounts = scratch, xCounts = yCounts + (<usize>P << 2);
    const yTaps = xCounts + (<usize>Q << 2), xTaps = yTaps + (<usize>(P * gy) << 4);
    const columns = xTaps + (<usize>(Q * gx) << 4);
    axisTaps(yCounts, yTaps, load<f32>(records, 16), load<f32>(records, 24), P, gy, H);
    axisTaps(xCounts, xTaps, load<f32>(records, 20), load<f32>(records, 28), Q, gx, W);
    const n = compactColumns(xCounts, xTaps, Q, gx, columns);
    const strip = (columns + (<usize>n << 2) + 15) & ~15;
    for (let p = 0; p < P; p++) {
      const yCount = load<i32>(yCounts + (<usize>p << 2));
      if (yCount == 0 || n == 0) {
        dy += <usize>Q * pixel;
        continue;
      }
      memory.fill(strip, 0, <usize>n * pixel);
      for (let q = 0; q < Q; q++, dy += pixel) {
        const list = xTaps + (<usize>(q * gx) << 4), xCount = load<i32>(xCounts + (<usize>q << 2));
        for (let k = 0; k < xCount; k++) {
          const at = list + (<usize>k << 3);
          accumulate(strip + <usize>load<i32>(at) * pixel, dy, load<f32>(at, 4), C);
        }
      }
      const yList = yTaps + (<usize>(p * gy) << 4);
      for (let k = 0; k < yCount; k++) {
        const at = yList + (<usize>k << 3);
        const row = map + <usize>load<i32>(at) * <usize>W * pixel, weight = load<f32>(at, 4);
        for (let u = 0; u < n; u++) {
          accumulate(row + <usize>load<i32>(columns + (<usize>u << 2)) * pixel, strip + <usize>u * pixel, weight, C);
        }
      }
    }
  }
}

/** Adds the source, with a weight each, to the four pixels around a sample. Where two are the same pixel the second's weight is 0. */
// @ts-ignore: decorator
@inline
function accumulateSample(
  t0: usize, t1: usize, t2: usize, t3: usize, source: usize, length: i32,
  w0: f32, w1: f32, w2: f32, w3: f32,
): void {
  const v0 = f32x4.splat(w0), v1 = f32x4.splat(w1), v2 = f32x4.splat(w2), v3 = f32x4.splat(w3);
  let c: i32 = 0;
  for (; c + 8 <= length; c += 8) {
    const offset = <usize>c << 2;
    const a = v128.load(source + offset), b = v128.load(source + offset, 16);
    v128.store(t0 + offset, f32x4.add(v128.load(t0 + offset), f32x4.mul(v0, a)));
    v128.store(t0 + offset, f32x4.add(v128.load(t0 + offset, 16), f32x4.mul(v0, b)), 16);
    v128.store(t1 + offset, f32x4.add(v128.load(t1 + offset), f32x4.mul(v1, a)));
    v128.store(t1 + offset, f32x4.add(v128.load(t1 + offset, 16), f32x4.mul(v1, b)), 16);
    v128.store(t2 + offset, f32x4.add(v128.load(t2 + offset), f32x4.mul(v2, a)));
    v128.store(t2 + offset, f32x4.add(v128.load(t2 + offset, 16), f32x4.mul(v2, b)), 16);
    v128.store(t3 + offset, f32x4.add(v128.load(t3 + offset), f32x4.mul(v3, a)));
    v128.store(t3 + offset, f32x4.add(v128.load(t3 + offset, 16), f32x4.mul(v3, b)), 16);
  }
  for (; c < length; c++) {
    const offset = <usize>c << 2;
    const a = load<f32>(source + offset);
    store<f32>(t0 + offset, load<f32>(t0 + offset) + w0 * a);
    store<f32>(t1 + offset, load<f32>(t1 + offset) + w1 * a);
    store<f32>(t2 + offset, load<f32>(t2 + offset) + w2 * a);
    store<f32>(t3 + offset, load<f32>(t3 + offset) + w3 * a);
  }
}

/** One sample of an axis at `at`: low i32 (negative: outside), high i32, weights of both (f32). */
function placeSample(at: usize, start: f32, bin: f32, b: i32, i: i32, g: i32, size: i32): void {
  let v: f32 = start + <f32>b * bin + ((<f32>i + 0.5) * bin) / <f32>g;
  if (!(v >= -1.0 && v <= <f32>size)) {
    store<i32>(at, -1);
    return;
  }
  if (v < 0) v = 0;
  let low = <i32>v, high = low + 1;
  let fraction: f32 = v - <f32>low;
  if (low >= size - 1) {
    low = size - 1;
    high = low;
    fraction = 0;
  }
  store<i32>(at, low);
  store<i32>(at, high, 4);
  store<f32>(at, 1 - fraction, 8);
  store<f32>(at, fraction, 12);
}

/**
 * As `roiAlignBackward`, but every term is added on its own, sample by sample, in the order of torchvision's loops on the CPU: sums of hundreds of
 * float32 terms depend on it. Takes the regions in the order of the records; 16 (P gy + Q gx) bytes of scratch.
 */
export function roiAlignBackwardInOrder(records: usize, count: i32, P: i32, Q: i32, C: i32, scratch: usize): void {
  const pixel = <usize>C << 2;
  for (let r = 0; r < count; r++, records += RECORD) {
    const map = load<usize>(records), H = load<i32>(records, 4), W = load<i32>(records, 8);
    let dy = load<usize>(records, 12);
    const gy = load<i32>(records, 32), gx = load<i32>(records, 36);
    if (gy == 0 || gx == 0) continue;
    const share: f32 = 1.0 / <f32>(gy * gx);
    const ys = scratch, xs = ys + (<usize>(P * gy) << 4);
    for (let k = 0; k < P * gy; k++) {
      placeSample(ys + (<usize>k << 4), load<f32>(records, 16), load<f32>(records, 24), k / gy, k % gy, gy, H);
    }
    for (let k = 0; k < Q * gx; k++) {
      placeSample(xs + (<usize>k << 4), load<f32>(records, 20), load<f32>(records, 28), k / gx, k % gx, gx, W);
    }
    for (let p = 0; p < P; p++) {
      for (let q = 0; q < Q; q++, dy += pixel) {
        for (let i = 0; i < gy; i++) {
          const y = ys + (<usize>(p * gy + i) << 4);
          if (load<i32>(y) < 0) continue;
          const top = map + <usize>load<i32>(y) * <usize>W * pixel, bottom = map + <usize>load<i32>(y, 4) * <usize>W * pixel;
          const above = load<f32>(y, 8), below = load<f32>(y, 12);
          for (let j = 0; j < gx; j++) {
            const x = xs + (<usize>(q * gx + j) << 4);
            if (load<i32>(x) < 0) continue;
            const left = <usize>load<i32>(x) * pixel, right = <usize>load<i32>(x, 4) * pixel;
            const before = load<f32>(x, 8), after = load<f32>(x, 12);
            accumulateSample(
              top + left, top + right, bottom + left, bottom + right, dy, C,
              above * before * share, above * after * share, below * before * share, below * after * share,
            );
          }
        }
      }
    }
  }
}
