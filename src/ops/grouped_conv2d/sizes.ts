import type { GroupedConvAttributes } from './kernel_names.js';

/** Stretches of places that the filter's gradient is first added up in on GPUs: enough threads, and shorter sums. */
export const STRETCHES = 32;

export const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * Sizes by name, as a GPU's program takes them; `perGroup` and `outPerGroup` in channels.
 * @param x       [N, H, W, C]
 * @param filter  [kh, kw, C / groups, K]
 * @param integer makes a uniform
 */
export function groupedConvSizes<U>(
  x: readonly number[],
  filter: readonly number[],
  { groups, stride, padding, outShape }: GroupedConvAttributes,
  integer: (value: number) => U,
): Record<string, U> {
  return {
    height: integer(x[1]),
    width: integer(x[2]),
    perGroup: integer(x[3] / groups),
    outPerGroup: integer(filter[3] / groups),
    groups: integer(groups),
    kernelHeight: integer(filter[0]),
    kernelWidth: integer(filter[1]),
    stride: integer(stride),
    top: integer(padding[0]),
    left: integer(padding[1]),
    outHeight: integer(outShape[0]),
    outWidth: integer(outShape[1]),
  };
}
