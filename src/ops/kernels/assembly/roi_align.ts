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
