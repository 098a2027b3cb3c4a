import { ArgumentError } from '../../errors.js';

/** How four or five numbers make a box; the values are Detectron2's `BoxMode`. */
export const BoxMode = {
  /** x0, y0, x1, y1 in pixels. */
  XYXY_ABS: 0,
  /** x0, y0, width, height in pixels. */
  XYWH_ABS: 1,
  /** x0, y0, x1, y1 as shares of the picture's sides; cannot be converted. */
  XYXY_REL: 2,
  /** x0, y0, width, height as shares; cannot be converted. */
  XYWH_REL: 3,
  /** x and y of the centre, width, height in pixels, degrees counter-clockwise. */
  XYWHA_ABS: 4,
} as const;

/** One of the values of {@link BoxMode}. */
export type BoxModeNumber = (typeof BoxMode)[keyof typeof BoxMode];

/**
 * Converts one box as Detectron2's `BoxMode.convert`.
 *
 * @param arithmetic `float32` is what Detectron2 does to Python lists, as they come from COCO files; `int64` cuts fractions off
 * @returns 4 numbers, or 5 for rotated boxes
 * @throws ArgumentError for a pair of modes that cannot be converted, or a wrong number of numbers
 */
export function convertBox(
  box: ArrayLike<number>,
  from: number,
  to: number,
  arithmetic: 'float32' | 'float64' | 'int64' = 'float64',
): number[] {
  const length = from === BoxMode.XYWHA_ABS ? 5 : 4;
  if (box.length !== length) throw new ArgumentError(`A box of mode ${modeName(from)} has ${length} numbers, not ${box.length}.`);
  const round = ROUNDING[arithmetic];
  if (from === to) return Array.from(box);
  const b = Array.from(box, round);
  if (from === BoxMode.XYWH_ABS && to === BoxMode.XYXY_ABS) return [b[0], b[1], round(b[0] + b[2]), round(b[1] + b[3])];
  if (from === BoxMode.XYXY_ABS && to === BoxMode.XYWH_ABS) return [b[0], b[1], round(b[2] - b[0]), round(b[3] - b[1])];
  if (from === BoxMode.XYWH_ABS && to === BoxMode.XYWHA_ABS)
    return [round(b[0] + b[2] / 2), round(b[1] + b[3] / 2), b[2], b[3], 0];
  if (from === BoxMode.XYWHA_ABS && to === BoxMode.XYXY_ABS) return aroundRotated(b, round);
  throw new ArgumentError(`Boxes of mode ${modeName(from)} cannot be converted to ${modeName(to)}.`);
}

const ROUNDING = { float32: Math.fround, int64: Math.trunc, float64: (v: number): number => v };

/** The upright box around a rotated one. */
function aroundRotated([x, y, width, height, degrees]: number[], round: (v: number) => number): number[] {
  const theta = (degrees * Math.PI) / 180;
  const cos = Math.abs(Math.cos(theta));
  const sin = Math.abs(Math.sin(theta));
  const halfWidth = (cos * width + sin * height) / 2;
  const halfHeight = (cos * height + sin * width) / 2;
  return [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight].map(round);
}

function modeName(mode: number): string {
  return Object.entries(BoxMode).find(([, value]) => value === mode)?.[0] ?? String(mode);
}
