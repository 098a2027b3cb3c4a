import type { DeformGeometry } from './geometry.js';
import { outputSize } from './geometry.js';

type Floats = Float32Array | Float64Array;

/** Bilinear value of one channel at (y, x); pixels outside count as 0. */
function sample(map: Floats, base: number, H: number, W: number, C: number, c: number, y: number, x: number): number {
  if (!(y > -1 && x > -1 && y < H && x < W)) return 0;
  const [top, left] = [Math.floor(y), Math.floor(x)];
  let sum = 0;
  for (const [row, weightY] of [
    [top, 1 - (y - top)],
    [top + 1, y - top],
  ]) {
    for (const [column, weightX] of [
      [left, 1 - (x - left)],
      [left + 1, x - left],
    ]) {
      if (row >= 0 && row < H && column >= 0 && column < W) sum += weightY * weightX * map[(base + row * W + column) * C + c];
    }
  }
  return sum;
}

/**
 * Deformable convolution by its definition, in double precision: the truth that the kernels are tested against. The contract is at
 * `deformConv2d`; arrays lie as its tensors do.
 * @returns [N, P, Q, O]
 */
export function deformConvReference(
  x: { shape: number[]; values: Floats },
  offset: Floats,
  weight: { shape: number[]; values: Floats },
  mask: Floats | undefined,
  bias: Floats | undefined,
  o: Omit<DeformGeometry, 'kernelSize'>,
): Float64Array {
  const [N, H, W, C] = x.shape;
  const [kh, kw, perGroup, O] = weight.shape;
  const geometry = { ...o, kernelSize: [kh, kw] as [number, number] };
  const [P, Q] = [outputSize(H, kh, geometry), outputSize(W, kw, geometry)];
  const K = kh * kw;
  const out = new Float64Array(N * P * Q * O);
  for (let place = 0; place < N * P * Q; place++) {
    const q = place % Q;
    const p = Math.floor(place / Q) % P;
    const base = Math.floor(place / (P * Q)) * H * W;
    if (bias) out.set(bias, place * O);
    for (let c = 0; c < C; c++) {
      const group = Math.floor(c / perGroup);
      const deformable = Math.floor(c / (C / o.deformableGroups));
      for (let k = 0; k < K; k++) {
        const index = (place * o.deformableGroups + deformable) * K + k;
        const y = p * o.stride - o.padding + Math.floor(k / kw) * o.dilation + offset[2 * index];
        const at = q * o.stride - o.padding + (k % kw) * o.dilation + offset[2 * index + 1];
        const value = (mask ? mask[index] : 1) * sample(x.values, base, H, W, C, c, y, at);
        const row = (k * perGroup + c - group * perGroup) * O;
        for (let channel = (group * O) / o.groups; channel < ((group + 1) * O) / o.groups; channel++)
          out[place * O + channel] += weight.values[row + channel] * value;
      }
    }
  }
  return out;
}
