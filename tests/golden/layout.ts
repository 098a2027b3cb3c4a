import type { Numbers } from './compare.js';

export interface HostTensor {
  shape: number[];
  data: Numbers;
}

function permute(data: Numbers, shape: readonly number[], order: readonly number[]): { shape: number[]; data: Float32Array } {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const outShape = order.map((axis) => shape[axis]!);
  const [s0, s1, s2, s3] = order.map((axis) => strides[axis]!) as [number, number, number, number];
  const [n0, n1, n2, n3] = outShape as [number, number, number, number];
  const out = new Float32Array(data.length);
  let k = 0;
  for (let a = 0; a < n0; a++)
    for (let b = 0; b < n1; b++)
      for (let c = 0; c < n2; c++) for (let d = 0; d < n3; d++) out[k++] = data[a * s0 + b * s1 + c * s2 + d * s3]!;
  return { shape: outShape, data: out };
}

/** Goldens keep activations as NCHW, the project as NHWC; rank 4 only. */
export const toNhwc = (t: HostTensor): { shape: number[]; data: Float32Array } => permute(t.data, t.shape, [0, 2, 3, 1]);
export const toNchw = (t: HostTensor): { shape: number[]; data: Float32Array } => permute(t.data, t.shape, [0, 3, 1, 2]);
