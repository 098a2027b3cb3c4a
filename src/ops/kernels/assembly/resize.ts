// Pillow's two passes on 8-bit samples with 22-bit fixed-point weights: integers throughout, so the sums are the same as in any other code.

/**
 * Along x, three channels. Four bytes are read for a pixel: the input must be followed by one byte that may be read.
 * @param starts  [width] i32, first input pixel of each output pixel
 * @param lengths [width] i32, how many input pixels
 * @param weights [width, stride] i32
 */
export function resizeColourRows(
  input: usize,
  height: i32,
  inputWidth: i32,
  width: i32,
  starts: usize,
  lengths: usize,
  weights: usize,
  stride: i32,
  out: usize,
): void {
  const half = i32x4.splat(1 << 21);
  const inputRow = <usize>inputWidth * 3;
  const outputRow = <usize>width * 3;
  let y = 0;
  // Four rows at a time share the weights.
  for (; y + 3 < height; y += 4) {
    const row = input + <usize>y * inputRow;
    let o = out + <usize>y * outputRow;
    for (let x = 0; x < width; x++, o += 3) {
      let k = weights + ((<usize>x * <usize>stride) << 2);
      let s = row + <usize>load<i32>(starts + (<usize>x << 2)) * 3;
      let a = half, b = half, c = half, d = half;
      for (let n = load<i32>(lengths + (<usize>x << 2)); n > 0; n--, k += 4, s += 3) {
        const weight = v128.load32_splat(k);
        a = i32x4.add(a, i32x4.mul(pixel(s), weight));
        b = i32x4.add(b, i32x4.mul(pixel(s + inputRow), weight));
        c = i32x4.add(c, i32x4.mul(pixel(s + 2 * inputRow), weight));
        d = i32x4.add(d, i32x4.mul(pixel(s + 3 * inputRow), weight));
      }
      storePixel(o, a);
      storePixel(o + outputRow, b);
      storePixel(o + 2 * outputRow, c);
      storePixel(o + 3 * outputRow, d);
    }
  }
  for (; y < height; y++) {
    const row = input + <usize>y * inputRow;
    let o = out + <usize>y * outputRow;
    for (let x = 0; x < width; x++, o += 3) {
      let k = weights + ((<usize>x * <usize>stride) << 2);
      let s = row + <usize>load<i32>(starts + (<usize>x << 2)) * 3;
      let a = half;
      for (let n = load<i32>(lengths + (<usize>x << 2)); n > 0; n--, k += 4, s += 3)
        a = i32x4.add(a, i32x4.mul(pixel(s), v128.load32_splat(k)));
      storePixel(o, a);
    }
  }
}

// @ts-ignore: decorator
@inline
function pixel(at: usize): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(at)));
}

// @ts-ignore: decorator
@inline
function storePixel(at: usize, sums: v128): void {
  const v = i32x4.shr_u(sums, 22);
  store<u8>(at, i32x4.extract_lane(v, 0));
  store<u8>(at + 1, i32x4.extract_lane(v, 1));
  store<u8>(at + 2, i32x4.extract_lane(v, 2));
}

/** Along y, any channels: rows of `rowLength` bytes. Sixteen bytes at a time; the last ones of a row one by one. */
export function resizeColumns(
  input: usize,
  rowLength: i32,
  height: i32,
  starts: usize,
  lengths: usize,
  weights: usize,
  stride: i32,
  out: usize,
): void {
  const half = i32x4.splat(1 << 21);
  const length = <usize>rowLength;
  for (let y = 0; y < height; y++) {
    const first = input + <usize>load<i32>(starts + (<usize>y << 2)) * length;
    const taps = load<i32>(lengths + (<usize>y << 2));
    const row = weights + ((<usize>y * <usize>stride) << 2);
    const o = out + <usize>y * length;
    let x: usize = 0;
    for (; x + 16 <= length; x += 16) {
      let a = half, b = half, c = half, d = half;
      let s = first + x;
      let k = row;
      for (let n = taps; n > 0; n--, s += length, k += 4) {
        const weight = v128.load32_splat(k);
        const samples = v128.load(s);
        const low = i16x8.extend_low_i8x16_u(samples), high = i16x8.extend_high_i8x16_u(samples);
        a = i32x4.add(a, i32x4.mul(i32x4.extend_low_i16x8_u(low), weight));
        b = i32x4.add(b, i32x4.mul(i32x4.extend_high_i16x8_u(low), weight));
        c = i32x4.add(c, i32x4.mul(i32x4.extend_low_i16x8_u(high), weight));
        d = i32x4.add(d, i32x4.mul(i32x4.extend_high_i16x8_u(high), weight));
      }
      const low = i16x8.narrow_i32x4_u(i32x4.shr_u(a, 22), i32x4.shr_u(b, 22));
      const high = i16x8.narrow_i32x4_u(i32x4.shr_u(c, 22), i32x4.shr_u(d, 22));
      v128.store(o + x, i8x16.narrow_i16x8_u(low, high));
    }
    for (; x < length; x++) {
      let sum: i32 = 1 << 21;
      let s = first + x;
      let k = row;
      for (let n = taps; n > 0; n--, s += length, k += 4) sum += <i32>load<u8>(s) * load<i32>(k);
      store<u8>(o + x, <u8>(sum >>> 22));
    }
  }
}
