import { type HostArray, registerHostKernel } from '../kernels/host_kernel.js';
import { type ColumnAttributes, DEFORM_COLUMNS, gradientOf, MODULATED_DEFORM_COLUMNS } from './columns.js';

/** One tap at one place: its four pixels (offsets into the image, -1 for none) and the fractions of its position. */
interface Tap {
  /** Index of the tap's (dy, dx) pair in the offsets, and of its weight in the mask. */
  index: number;
  /** First float of the tap's channels in the columns. */
  column: number;
  /** First and one past the last input channel of this part. */
  first: number;
  last: number;
  /** Offsets of the corners' pixels in the input, without channels; -1 where outside. */
  topLeft: number;
  topRight: number;
  bottomLeft: number;
  bottomRight: number;
  fy: number;
  fx: number;
  /** Whether the sample counts at all: not farther than one pixel outside. */
  inside: boolean;
}

/**
 * Visits every tap of every output place, split where a convolution group or a deformable group of the channels ends. Columns are
 * [groups, N * P, K, C / groups].
 */
function forEachTap(shape: number[], offsets: Float32Array, attributes: ColumnAttributes, visit: (tap: Tap) => void): void {
  const [images, H, W, C] = shape;
  const { kernelSize, stride, padding, dilation, groups, deformableGroups, outShape } = attributes;
  const [outHeight, outWidth] = outShape;
  const taps = kernelSize[0] * kernelSize[1];
  const perGroup = C / groups;
  const perDeformable = C / deformableGroups;
  const places = images * outHeight * outWidth;
  const tap: Tap = {
    index: 0,
    column: 0,
    first: 0,
    last: 0,
    topLeft: -1,
    topRight: -1,
    bottomLeft: -1,
    bottomRight: -1,
    fy: 0,
    fx: 0,
    inside: false,
  };
  const cuts = [
    ...new Set([
      ...Array.from({ length: groups + 1 }, (_, g) => g * perGroup),
      ...Array.from({ length: deformableGroups + 1 }, (_, d) => d * perDeformable),
    ]),
  ].sort((a, b) => a - b);
  for (let place = 0; place < places; place++) {
    const column = place % outWidth;
    const row = Math.floor(place / outWidth) % outHeight;
    const base = Math.floor(place / (outWidth * outHeight)) * H * W;
    for (let k = 0; k < taps; k++) {
      const atY = row * stride - padding + Math.floor(k / kernelSize[1]) * dilation;
      const atX = column * stride - padding + (k % kernelSize[1]) * dilation;
      let last = -1;
      for (let part = 0; part + 1 < cuts.length; part++) {
        tap.first = cuts[part];
        tap.last = cuts[part + 1];
        const deformable = Math.floor(tap.first / perDeformable);
        const group = Math.floor(tap.first / perGroup);
        tap.index = (place * deformableGroups + deformable) * taps + k;
        tap.column = ((group * places + place) * taps + k) * perGroup + tap.first - group * perGroup;
        if (deformable !== last) {
          last = deformable;
          const y = Math.fround(atY + offsets[2 * tap.index]);
          const x = Math.fround(atX + offsets[2 * tap.index + 1]);
          const top = Math.floor(y);
          const left = Math.floor(x);
          tap.fy = y - top;
          tap.fx = x - left;
          tap.inside = y > -1 && x > -1 && y < H && x < W;
          const up = top >= 0 && top < H;
          const down = top >= -1 && top < H - 1;
          const near = left >= 0 && left < W;
          const far = left >= -1 && left < W - 1;
          const pixel = base + top * W + left;
          tap.topLeft = up && near ? pixel : -1;
          tap.topRight = up && far ? pixel + 1 : -1;
          tap.bottomLeft = down && near ? pixel + W : -1;
          tap.bottomRight = down && far ? pixel + W + 1 : -1;
        }
        visit(tap);
      }
    }
  }
}

/** out[o + c] += weight * x[p + c]; nothing for a pixel that is none. */
function add(
  out: Float32Array,
  o: number,
  x: Float32Array,
  pixel: number,
  channels: number,
  first: number,
  count: number,
  weight: number,
): void {
  if (pixel < 0 || weight === 0) return;
  const p = pixel * channels + first;
  for (let c = 0; c < count; c++) out[o + c] += weight * x[p + c];
}

/** Adds weight * dy to a pixel's gradient, and returns the scalar product of dy with the pixel. */
function spread(
  dx: Float32Array,
  x: Float32Array,
  pixel: number,
  channels: number,
  first: number,
  count: number,
  dy: Float32Array,
  o: number,
  weight: number,
): number {
  if (pixel < 0) return 0;
  const p = pixel * channels + first;
  let dot = 0;
  for (let c = 0; c < count; c++) {
    dot += x[p + c] * dy[o + c];
    dx[p + c] += weight * dy[o + c];
  }
  return dot;
}

function columns({ x, offset, mask }: Record<string, HostArray>, attributes: ColumnAttributes): HostArray {
  const [images, , , C] = x.shape;
  const { kernelSize, groups, outShape } = attributes;
  const shape = [groups, images * outShape[0] * outShape[1], kernelSize[0] * kernelSize[1], C / groups];
  const values = new Float32Array(shape.reduce((a, b) => a * b));
  forEachTap(x.shape, offset.values, attributes, (t) => {
    if (!t.inside) return;
    const weight = mask ? mask.values[t.index] : 1;
    const count = t.last - t.first;
    add(values, t.column, x.values, t.topLeft, C, t.first, count, weight * (1 - t.fy) * (1 - t.fx));
    add(values, t.column, x.values, t.topRight, C, t.first, count, weight * (1 - t.fy) * t.fx);
    add(values, t.column, x.values, t.bottomLeft, C, t.first, count, weight * t.fy * (1 - t.fx));
    add(values, t.column, x.values, t.bottomRight, C, t.first, count, weight * t.fy * t.fx);
  });
  return { shape, values };
}

function columnsGradient({ dy, x, offset, mask }: Record<string, HostArray>, attributes: ColumnAttributes): HostArray[] {
  const C = x.shape[3];
  const zeros = ({ shape, values }: HostArray): HostArray => ({ shape, values: new Float32Array(values.length) });
  const [dx, dOffset] = [zeros(x), zeros(offset)];
  const dMask = mask && zeros(mask);
  forEachTap(x.shape, offset.values, attributes, (t) => {
    const { fy, fx, inside } = t;
    const weight = mask ? mask.values[t.index] : 1;
    const send = inside ? weight : 0;
    const corner = (pixel: number, share: number): number =>
      spread(dx.values, x.values, pixel, C, t.first, t.last - t.first, dy.values, t.column, send * share);
    const topLeft = corner(t.topLeft, (1 - fy) * (1 - fx));
    const topRight = corner(t.topRight, (1 - fy) * fx);
    const bottomLeft = corner(t.bottomLeft, fy * (1 - fx));
    const bottomRight = corner(t.bottomRight, fy * fx);
    dOffset.values[2 * t.index] += weight * ((1 - fx) * (bottomLeft - topLeft) + fx * (bottomRight - topRight));
    dOffset.values[2 * t.index + 1] += weight * ((1 - fy) * (topRight - topLeft) + fy * (bottomRight - bottomLeft));
    if (dMask && inside) {
      dMask.values[t.index] += (1 - fy) * ((1 - fx) * topLeft + fx * topRight) + fy * ((1 - fx) * bottomLeft + fx * bottomRight);
    }
  });
  return dMask ? [dx, dOffset, dMask] : [dx, dOffset];
}

for (const kernelName of [DEFORM_COLUMNS, MODULATED_DEFORM_COLUMNS]) {
  registerHostKernel(kernelName, columns);
  registerHostKernel(gradientOf(kernelName), columnsGradient);
}
