import { compareTensor, type Line } from '../compare.js';
import { toNchw, type HostTensor } from '../layout.js';
import type { GoldenTensor } from '../safetensors_file.js';

/** A tensor's entry in the manifest. */
export interface GoldenEntry {
  shape: number[];
  dtype: string;
  atol?: number;
  exact?: boolean;
}

const IMAGES = 'images';

/** Compares a tensor of ours (activations NHWC) with a golden one (NCHW), of which the manifest may keep a part only. */
export function compareTraced(
  where: { case: string; name: string },
  actual: HostTensor,
  golden: GoldenTensor,
  entry: GoldenEntry,
): Line {
  const tolerance = { abs: entry.exact ? 0 : (entry.atol ?? 0) };
  return compareTensor(where, partLike(where.name, inGoldenLayout(where.name, actual), golden.shape), golden, tolerance);
}

function inGoldenLayout(name: string, t: HostTensor): HostTensor {
  // Mask probabilities have one channel, which the model already puts where the goldens have it.
  return t.shape.length === 4 && !name.endsWith('pred_masks') ? toNchw(t) : t;
}

/**
 * The part of ours that the golden holds: its first rows; of maps its top-left corner; of a batch of input images its last ones.
 * Anything else that differs is left for the comparison to report.
 */
function partLike(name: string, t: HostTensor, shape: readonly number[]): HostTensor {
  if (t.shape.length !== shape.length || shape.some((n, axis) => n > t.shape[axis])) return t;
  const cropsMaps = name === IMAGES && t.shape.length === 4;
  const cut = t.shape.findIndex((n, axis) => n !== shape[axis] && axis > 0);
  if (cut > 0 && !cropsMaps) return t;
  const row = t.shape.slice(1).reduce((a, b) => a * b, 1);
  const first = name === IMAGES ? t.shape[0] - shape[0] : 0;
  const rows = {
    shape: [shape[0], ...t.shape.slice(1)],
    data: Array.prototype.slice.call(t.data, first * row, (first + shape[0]) * row) as number[],
  };
  return cut < 0 ? rows : corner(rows, shape as [number, number, number, number]);
}

function corner(t: { shape: number[]; data: number[] }, [n, c, h, w]: readonly [number, number, number, number]): HostTensor {
  const [, , height, width] = t.shape;
  const out: number[] = [];
  for (let plane = 0; plane < n * c; plane++)
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out.push(t.data[(plane * height + y) * width + x]);
  return { shape: [n, c, h, w], data: out };
}
