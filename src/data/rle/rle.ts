import { ArgumentError } from '../../errors.js';

/**
 * A binary mask as COCO run lengths: `size` is (height, width); `counts` are the runs of the COLUMN-major flattening, alternately zeros and
 * ones, zeros first (a mask that starts with a one starts with a run of length 0). The runs sum to height * width.
 */
export interface Rle {
  size: [height: number, width: number];
  counts: Uint32Array;
}

/**
 * Encodes a bitmap; any value but 0 is foreground. The result is canonical: only the first run may have length 0.
 *
 * @param bitmap height * width bytes
 * @param order how `bitmap` is flattened: `row` (as images are) or `column` (as pycocotools' arrays are)
 * @throws ArgumentError when the bitmap's length is not height * width
 */
export function encodeRle(bitmap: Uint8Array, height: number, width: number, order: 'row' | 'column'): Rle {
  checkSize(height, width);
  if (bitmap.length !== height * width)
    throw new ArgumentError(`A mask of ${height} x ${width} needs ${height * width} bytes, the bitmap has ${bitmap.length}.`);
  return { size: [height, width], counts: order === 'column' ? scanColumns(bitmap) : scanRows(bitmap, height, width) };
}

/**
 * Decodes to 0 and 1, flattened by rows, `height * width` bytes.
 *
 * @throws ArgumentError when the runs do not sum to height * width
 */
export function decodeRle(rle: Rle): Uint8Array {
  const [height, width] = rle.size;
  checkRle(rle);
  const out = new Uint8Array(height * width);
  if (out.length === 0) return out;
  // A row is the row above it, toggled where a run ends: memory copies for the area, work only for the outline.
  const { counts } = rle;
  const starts = new Uint32Array(height + 1);
  let position = 0;
  for (let i = 0; i < counts.length - 1; i++) {
    position += counts[i]!;
    if (position < out.length) starts[(position % height) + 1]!++;
  }
  for (let y = 0; y < height; y++) starts[y + 1]! += starts[y]!;
  const columns = new Uint32Array(starts[height]!);
  const next = starts.slice(0, height);
  let column = 0;
  let value = 0;
  position = 0;
  for (let i = 0; i < counts.length - 1; i++) {
    position += counts[i]!;
    if (position >= out.length) break;
    const x = Math.floor(position / height);
    const y = position - x * height;
    // The tops of the columns passed since the last run end hold the value of the run that covers them.
    const lastTop = y === 0 ? x - 1 : x;
    if (value === 1 && lastTop >= column) out.fill(1, column, lastTop + 1);
    if (lastTop >= column) column = lastTop + 1;
    value ^= 1;
    columns[next[y]!++] = x;
  }
  if (value === 1) out.fill(1, column, width);
  for (let y = 1; y < height; y++) {
    const row = y * width;
    out.copyWithin(row, row - width, row);
    for (let i = starts[y]!; i < starts[y + 1]!; i++) out[row + columns[i]!]! ^= 1;
  }
  return out;
}

/** The COCO compressed string: differences to the run before last, in 5-bit groups with a sign bit, offset by 48. Runs are not normalised. */
export function rleToString(rle: Rle): string {
  const { counts } = rle;
  let bytes = new Uint8Array(counts.length * 3 + 16);
  let n = 0;
  for (let i = 0; i < counts.length; i++) {
    if (n + 8 > bytes.length) {
      const larger = new Uint8Array(bytes.length * 2);
      larger.set(bytes);
      bytes = larger;
    }
    let x = i > 2 ? counts[i]! - counts[i - 2]! : counts[i]!;
    for (;;) {
      // Differences of unsigned 32-bit runs need 33 bits, so the shift is a division.
      const low = x & 31;
      x = Math.floor(x / 32);
      const more = low & 16 ? x !== -1 : x !== 0;
      bytes[n++] = (more ? low | 32 : low) + 48;
      if (!more) break;
    }
  }
  return asciiDecoder.decode(bytes.subarray(0, n));
}

/**
 * Reads a COCO compressed string.
 *
 * @throws ArgumentError when it has foreign characters, ends inside a number, holds a negative run, or does not sum to height * width
 */
export function rleFromString(text: string, size: readonly [height: number, width: number]): Rle {
  const runs = new Uint32Array(text.length);
  return { size: [size[0], size[1]], counts: runs.slice(0, readRuns(text, size, runs)) };
}

/**
 * The same into an array of the caller, for many masks in a row.
 *
 * @param runs at least as long as `text`
 * @returns how many runs there are
 */
export function readRuns(text: string, size: readonly [height: number, width: number], runs: Uint32Array): number {
  checkSize(size[0], size[1]);
  const { length } = text;
  let n = 0;
  let total = 0;
  for (let p = 0; p < length;) {
    const first = p;
    let c = text.charCodeAt(p++) - 48;
    let x = c & 31;
    let shift = 5;
    let foreign = c & ~63;
    while (c & 32 && shift < 30 && p < length) {
      c = text.charCodeAt(p++) - 48;
      foreign |= c & ~63;
      x |= (c & 31) << shift;
      shift += 5;
    }
    if (foreign !== 0) throw foreignCharacter(text, first);
    if (c & 32) {
      [x, p] = longRun(text, first, n);
    } else if (c & 16) x |= -1 << shift;
    if (n > 2) x += runs[n - 2]!;
    if (!(x >= 0 && x <= 0xffffffff)) throw new ArgumentError(`Run ${n} of the RLE string is ${x}; runs are from 0 to 2^32 - 1.`);
    runs[n++] = x;
    total += x;
  }
  if (total !== size[0] * size[1])
    throw new ArgumentError(
      `The runs of the RLE string sum to ${total}, its size ${size[0]} x ${size[1]} needs ${size[0] * size[1]}.`,
    );
  return n;
}

/** A run of more than 30 bits, without the 32-bit arithmetic of the common ones; the value and the position after it. */
function longRun(text: string, from: number, n: number): [number, number] {
  let x = 0;
  let scale = 1;
  for (let p = from; ;) {
    if (p >= text.length) throw new ArgumentError(`The RLE string ends inside its run ${n}; it is truncated.`);
    const c = text.charCodeAt(p++) - 48;
    if (c < 0 || c > 63) throw foreignCharacter(text, from);
    x += (c & 31) * scale;
    scale *= 32;
    if (!(c & 32)) return [c & 16 ? x - scale : x, p];
    if (scale > 2 ** 40) throw new ArgumentError(`Run ${n} of the RLE string is too large.`);
  }
}

function foreignCharacter(text: string, from: number): ArgumentError {
  let p = from;
  while (text.charCodeAt(p) >= 48 && text.charCodeAt(p) <= 111) p++;
  return new ArgumentError(`The RLE string has a foreign character at position ${p}.`);
}

/** Foreground pixels. */
export function rleArea(rle: Rle): number {
  let area = 0;
  for (let i = 1; i < rle.counts.length; i += 2) area += rle.counts[i]!;
  return area;
}

/** The tight box around the foreground as (x, y, width, height), integers; (0, 0, 0, 0) without foreground. */
export function rleToBox(rle: Rle): [x: number, y: number, width: number, height: number] {
  const height = rle.size[0];
  const { counts } = rle;
  let x0 = Infinity;
  let y0 = Infinity;
  let x1 = -1;
  let y1 = -1;
  let position = 0;
  for (let i = 1; i < counts.length; i += 2) {
    position += counts[i - 1]!;
    const length = counts[i]!;
    if (length === 0) continue;
    const first = Math.floor(position / height);
    const top = position - first * height;
    position += length;
    const last = Math.floor((position - 1) / height);
    const bottom = position - 1 - last * height;
    if (first < x0) x0 = first;
    if (last > x1) x1 = last;
    if (last > first) {
      y0 = 0;
      y1 = height - 1;
    } else {
      if (top < y0) y0 = top;
      if (bottom > y1) y1 = bottom;
    }
  }
  return x1 < 0 ? [0, 0, 0, 0] : [x0, y0, x1 - x0 + 1, y1 - y0 + 1];
}

/** @throws ArgumentError unless the runs sum to height * width */
export function checkRle(rle: Rle): void {
  checkSize(rle.size[0], rle.size[1]);
  let total = 0;
  for (let i = 0; i < rle.counts.length; i++) total += rle.counts[i]!;
  if (total !== rle.size[0] * rle.size[1])
    throw new ArgumentError(
      `The runs of a mask sum to ${total}, its size ${rle.size[0]} x ${rle.size[1]} needs ${rle.size[0] * rle.size[1]}.`,
    );
}

const asciiDecoder = new TextDecoder();

function checkSize(height: number, width: number): void {
  if (!(Number.isInteger(height) && Number.isInteger(width) && height >= 0 && width >= 0 && height * width <= 0xffffffff))
    throw new ArgumentError(`A mask's size must be two integers from 0, of at most 2^32 - 1 pixels; got ${height} x ${width}.`);
}

/** Runs of a column-major bitmap; compares sixteen pixels at a time inside a run. */
function scanColumns(bitmap: Uint8Array): Uint32Array {
  const n = bitmap.length;
  const aligned = bitmap.byteOffset % 4 === 0 ? bitmap : bitmap.slice();
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, n >> 2);
  const runs = new RunList();
  let value = 0;
  let start = 0;
  let i = 0;
  while (i < n) {
    if ((i & 3) === 0) {
      const same = value === 0 ? 0 : 0x01010101;
      let k = i >> 2;
      while (
        k + 4 <= words.length &&
        ((words[k]! ^ same) | (words[k + 1]! ^ same) | (words[k + 2]! ^ same) | (words[k + 3]! ^ same)) === 0
      )
        k += 4;
      while (k < words.length && words[k] === same) k++;
      i = k << 2;
      if (i >= n) break;
    }
    if ((aligned[i] !== 0 ? 1 : 0) !== value) {
      runs.push(i - start);
      start = i;
      value ^= 1;
    }
    i++;
  }
  runs.push(n - start);
  return runs.finish();
}

/** Runs of a row-major bitmap without transposing it: a run ends where a row differs from the row above, or a column's top from the last column's foot. */
function scanRows(bitmap: Uint8Array, height: number, width: number): Uint32Array {
  if (bitmap.length === 0) return new Uint32Array(1);
  const perRow = (width + 3) >> 2;
  let above = new Uint8Array(perRow * 4);
  let here = new Uint8Array(perRow * 4);
  let aboveWords = new Uint32Array(above.buffer);
  let hereWords = new Uint32Array(here.buffer);
  const starts = new Uint32Array(width + 1);
  const last = (height - 1) * width;
  for (let x = 0; x < width; x++) {
    const foot = x === 0 ? 0 : bitmap[last + x - 1]!;
    if ((bitmap[x] !== 0) !== (foot !== 0)) starts[x + 1]!++;
  }
  const ends = new RunList();
  above.set(bitmap.subarray(0, width));
  for (let y = 1; y < height; y++) {
    here.set(bitmap.subarray(y * width, y * width + width));
    for (let k = 0; k < perRow; k++) {
      if (hereWords[k] === aboveWords[k]) continue;
      for (let x = k * 4; x < k * 4 + 4; x++) {
        if ((here[x] !== 0) === (above[x] !== 0)) continue;
        ends.push(y * width + x);
        starts[x + 1]!++;
      }
    }
    [above, here] = [here, above];
    [aboveWords, hereWords] = [hereWords, aboveWords];
  }
  // Counting sort by column; rows are in order already.
  for (let x = 0; x < width; x++) starts[x + 1]! += starts[x]!;
  const sorted = new Uint32Array(starts[width]! + 1);
  const next = starts.slice(0, width);
  for (let x = 0; x < width; x++) {
    const foot = x === 0 ? 0 : bitmap[last + x - 1]!;
    if ((bitmap[x] !== 0) !== (foot !== 0)) sorted[next[x]!++] = x * height;
  }
  const positions = ends.finish();
  for (let i = 0; i < positions.length; i++) {
    const y = Math.floor(positions[i]! / width);
    const x = positions[i]! - y * width;
    sorted[next[x]!++] = x * height + y;
  }
  sorted[sorted.length - 1] = height * width;
  for (let i = sorted.length - 1; i > 0; i--) sorted[i]! -= sorted[i - 1]!;
  return sorted;
}

/** A growing list of unsigned 32-bit numbers. */
class RunList {
  private items = new Uint32Array(256);
  private length = 0;

  push(value: number): void {
    if (this.length === this.items.length) {
      const larger = new Uint32Array(this.length * 2);
      larger.set(this.items);
      this.items = larger;
    }
    this.items[this.length++] = value;
  }

  finish(): Uint32Array {
    return this.items.slice(0, this.length);
  }
}
