import type { Rle } from '../../data/rle/rle.js';
import { ArgumentError } from '../../errors.js';

/** The part of the image that a pasted mask can reach, with its pixels. */
export interface MaskCrop {
  /** First column and row of the crop, in image pixels. */
  x0: number;
  y0: number;
  /** One past the last column and row. */
  x1: number;
  y1: number;
  /** [y1 - y0, x1 - x0] row-major, 0 or 1. */
  bitmap: Uint8Array;
}

/**
 * Detectron2's `paste_masks_in_image` for one mask, restricted to the pixels that its box can reach: bilinear sampling of the mask at pixel
 * centres (`align_corners=False`, zeros outside the mask), 1 where the sample is at least `threshold`. Pixels outside the crop are 0.
 * @param mask float32 [size, size] probabilities, row-major
 * @param box x0, y0, x1, y1 in image pixels; a box without area or outside the image gives an empty crop
 * @param threshold in (0, 1]
 * @throws ArgumentError for a mask that is not [size, size], an image size that is not a positive integer, or a threshold out of range
 */
export function pasteMask(
  mask: Float32Array,
  size: number,
  box: ArrayLike<number>,
  height: number,
  width: number,
  threshold = 0.5,
): MaskCrop {
  const crop = reach(box, height, width);
  const rows = crop.y1 - crop.y0;
  const columns = crop.x1 - crop.x0;
  const bitmap = new Uint8Array(rows * columns);
  forEachColumnRun(mask, size, box, threshold, crop, (x, from, to) => {
    for (let o = (from - crop.y0) * columns + x - crop.x0, y = from; y < to; y++, o += columns) bitmap[o] = 1;
  });
  return { ...crop, bitmap };
}

/**
 * The same pixels as `pasteMask`, straight as COCO run lengths of the whole image, without a bitmap in between.
 * @returns column-major runs, zeros first, of an image of [height, width]
 */
export function pasteMaskToRle(
  mask: Float32Array,
  size: number,
  box: ArrayLike<number>,
  height: number,
  width: number,
  threshold = 0.5,
): Rle {
  const crop = reach(box, height, width);
  const ends: number[] = [];
  let last = -1;
  forEachColumnRun(mask, size, box, threshold, crop, (x, from, to) => {
    // A run that starts where the last one ended (also over a column end) goes on with it.
    if (x * height + from === last) ends[ends.length - 1] = last = x * height + to;
    else ends.push(x * height + from, (last = x * height + to));
  });
  const total = height * width;
  if (last !== total) ends.push(total);
  const counts = new Uint32Array(ends.length);
  for (let i = 0, previous = 0; i < ends.length; previous = ends[i++]) counts[i] = ends[i] - previous;
  return { size: [height, width], counts };
}

/** How many pixels `pasteMask` sets. */
export function pastedMaskArea(
  mask: Float32Array,
  size: number,
  box: ArrayLike<number>,
  height: number,
  width: number,
  threshold = 0.5,
): number {
  let area = 0;
  forEachColumnRun(mask, size, box, threshold, reach(box, height, width), (_x, from, to) => {
    area += to - from;
  });
  return area;
}

/**
 * Where the rows and then the columns of an image fall in each mask: the lower of the two cells that are blended, and the weight of the upper. What a box
 * cannot reach lies two cells before its mask, where all is 0. For GPUs, whose own division does not round as PyTorch's.
 * @param boxes [D, 4]
 * @returns     [D, height + width, 2]
 */
export function pastePlaces(boxes: Float32Array, size: number, height: number, width: number): Float32Array {
  const places = new Float32Array((boxes.length / 2) * (height + width));
  for (let i = 0; i < places.length; i += 2) places[i] = -2;
  for (let d = 0; d < boxes.length / 4; d++) {
    const box = boxes.subarray(4 * d, 4 * d + 4);
    const crop = reach(box, height, width);
    const write = (first: number, { cells, fractions }: Samples): void =>
      cells.forEach((cell, i) => places.set([cell - 2, fractions[i]], 2 * (d * (height + width) + first + i)));
    write(crop.y0, samplePositions(crop.y0, crop.y1, box[1], box[3], size));
    write(height + crop.x0, samplePositions(crop.x0, crop.x1, box[0], box[2], size));
  }
  return places;
}

/**
 * The samples themselves that {@link pasteMask} compares with its threshold (Detectron2's `paste_masks_in_image` with a negative threshold).
 * @returns the crop as there, but with 255 times the probability of each pixel, rounded down
 */
export function pasteSoftMask(mask: Float32Array, size: number, box: ArrayLike<number>, height: number, width: number): MaskCrop {
  const crop = reach(box, height, width);
  const columns = crop.x1 - crop.x0;
  const bitmap = new Uint8Array((crop.y1 - crop.y0) * columns);
  if (columns === 0) return { ...crop, bitmap };
  const horizontal = samplePositions(crop.x0, crop.x1, box[0], box[2], size);
  const vertical = samplePositions(crop.y0, crop.y1, box[1], box[3], size);
  const at = (row: number, column: number): number =>
    row >= 0 && row < size && column >= 0 && column < size ? mask[row * size + column] : 0;
  for (let y = 0, o = 0; y < vertical.cells.length; y++) {
    const [upper, weight] = [vertical.cells[y] - 2, vertical.fractions[y]];
    for (let x = 0; x < columns; x++, o++) {
      const [left, share] = [horizontal.cells[x] - 2, horizontal.fractions[x]];
      const above = at(upper, left) * (1 - share) + at(upper, left + 1) * share;
      const below = at(upper + 1, left) * (1 - share) + at(upper + 1, left + 1) * share;
      bitmap[o] = 255 * (above * (1 - weight) + below * weight);
    }
  }
  return { ...crop, bitmap };
}

type Window = Omit<MaskCrop, 'bitmap'>;

/** Detectron2 pastes into the box widened by one pixel on each side; without area there is nothing to sample. */
function reach(box: ArrayLike<number>, height: number, width: number): Window {
  if (!(Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0)) {
    throw new ArgumentError(`mask paste: the image size must be positive integers, not ${height} x ${width}`);
  }
  const [x0, y0, x1, y1] = [box[0], box[1], box[2], box[3]].map(Math.fround);
  // Also false for NaN; an infinite side has no pixel centre with a finite place in the mask.
  if (!(x1 - x0 > 0 && y1 - y0 > 0 && x1 - x0 < Infinity && y1 - y0 < Infinity)) return { x0: 0, y0: 0, x1: 0, y1: 0 };
  const left = Math.max(Math.floor(x0) - 1, 0);
  const top = Math.max(Math.floor(y0) - 1, 0);
  const right = Math.min(Math.ceil(x1) + 1, width);
  const bottom = Math.min(Math.ceil(y1) + 1, height);
  return right > left && bottom > top ? { x0: left, y0: top, x1: right, y1: bottom } : { x0: 0, y0: 0, x1: 0, y1: 0 };
}

interface Samples {
  /** Index into a line of the mask with two zeros on each side, of the lower of the two values that are blended. */
  cells: Int32Array;
  /** Weight of the upper value. */
  fractions: Float32Array;
}

/** Where pixel centres `from`..`to` of the image fall in a mask of `size` cells over `start`..`end`, rounded to float32 where PyTorch does. */
function samplePositions(from: number, to: number, start: number, end: number, size: number): Samples {
  const { fround } = Math;
  const cells = new Int32Array(to - from);
  const fractions = new Float32Array(to - from);
  const origin = fround(start);
  const extent = fround(fround(end) - origin);
  for (let i = 0; i < cells.length; i++) {
    const relative = fround(fround(fround(from + i + 0.5) - origin) / extent);
    const grid = fround(fround(relative * 2) - 1);
    const position = fround(fround(fround(grid + 1) * fround(size / 2)) - 0.5);
    const cell = Math.floor(position);
    cells[i] = Math.min(Math.max(cell, -2), size) + 2;
    fractions[i] = cell < -2 || cell > size ? 0 : fround(position - cell);
  }
  return { cells, fractions };
}

/**
 * Calls `emit(x, from, to)` for every vertical run of set pixels, columns ascending, then rows; adjoining runs may come in pieces.
 * A column of the image is a polyline through `size` values; only where it crosses the threshold are single pixels looked at.
 */
function forEachColumnRun(
  mask: Float32Array,
  size: number,
  box: ArrayLike<number>,
  threshold: number,
  crop: Window,
  emit: (x: number, from: number, to: number) => void,
): void {
  if (mask.length !== size * size) {
    throw new ArgumentError(`mask paste: ${mask.length} values do not make a mask of ${size} x ${size}`);
  }
  if (!(threshold > 0 && threshold <= 1))
    throw new ArgumentError(`mask paste: the threshold must be in (0, 1], not ${threshold}`);
  if (crop.x1 === crop.x0) return;
  const horizontal = samplePositions(crop.x0, crop.x1, box[0], box[2], size);
  const vertical = samplePositions(crop.y0, crop.y1, box[1], box[3], size);

  // Rows of the crop that blend the same two mask rows.
  const segmentStarts: number[] = [];
  for (let y = 0; y < vertical.cells.length; y++) {
    if (y === 0 || vertical.cells[y] !== vertical.cells[y - 1]) segmentStarts.push(y);
  }
  segmentStarts.push(vertical.cells.length);

  const line = new Float64Array(size + 4);
  for (let column = 0; column < horizontal.cells.length; column++) {
    const left = horizontal.cells[column] - 2;
    const fraction = horizontal.fractions[column];
    let reaches = false;
    for (let j = 0, row = left; j < size; j++, row += size) {
      const a = left >= 0 && left < size ? mask[row] : 0;
      const b = left + 1 >= 0 && left + 1 < size ? mask[row + 1] : 0;
      const value = a * (1 - fraction) + b * fraction;
      line[j + 2] = value;
      if (value >= threshold) reaches = true;
    }
    // A blend never exceeds both of its values, so such a column has no pixel.
    if (!reaches) continue;
    const x = crop.x0 + column;
    let open = -1;
    for (let segment = 0; segment + 1 < segmentStarts.length; segment++) {
      const from = segmentStarts[segment];
      const to = segmentStarts[segment + 1];
      const upper = line[vertical.cells[from]];
      const lower = line[vertical.cells[from] + 1];
      const upperOn = upper >= threshold;
      if (upperOn === lower >= threshold) {
        if (upperOn) open = open < 0 ? from : open;
        else if (open >= 0) {
          emit(x, crop.y0 + open, crop.y0 + from);
          open = -1;
        }
        continue;
      }
      for (let y = from; y < to; y++) {
        const weight = vertical.fractions[y];
        const on = upper * (1 - weight) + lower * weight >= threshold;
        if (on && open < 0) open = y;
        else if (!on && open >= 0) {
          emit(x, crop.y0 + open, crop.y0 + y);
          open = -1;
        }
      }
    }
    if (open >= 0) emit(x, crop.y0 + open, crop.y1);
  }
}
