import * as tf from '@tensorflow/tfjs-core';
import { gatherRows } from '../../../src/losses/gather_rows.js';
import { sumInBlocks } from '../../../src/losses/sum_in_blocks.js';
import { Box2BoxTransform } from '../../../src/rpn/box_transform.js';
import { refineRegions } from '../../../src/rpn/decode_on_device.js';
import { type Exact, type KernelProblem, noise } from './kernel_problem.js';

const REGIONS = [
  [0, 1, 2, 30, 40, 0.5],
  [1, 5, 5, 20, 12, -3],
  [0, 40, 8, 52, 9, 2],
];
const IMAGES = [
  [45, 50],
  [30, 21],
] as const;

/** Boxes moved by their deltas (Girshick et al. 2014, appendix C), clipped to their images. */
function refined({ values }: Exact): Exact {
  const rows = REGIONS.flatMap(([image, x0, y0, x1, y1, logit], r) => {
    const [dx, dy, dw, dh] = values.subarray(4 * r, 4 * r + 4);
    const side = (low: number, high: number, shift: number, scale: number, most: number): [number, number] => {
      const centre = (low + high) / 2 + (shift / 10) * (high - low);
      const half = (Math.exp(scale / 5) * (high - low)) / 2;
      return [centre - half, centre + half].map((v) => Math.min(Math.max(v, 0), most)) as [number, number];
    };
    const [height, width] = IMAGES[image];
    const [left, right] = side(x0, x1, dx, dw, width);
    const [top, bottom] = side(y0, y1, dy, dh, height);
    return [image, left, top, right, bottom, logit];
  });
  return { shape: [REGIONS.length, 6], values: Float64Array.from(rows) };
}

/** [M, K] by [K, N], either of them the other way round. */
function product(a: Exact, b: Exact, transposeA: boolean, transposeB: boolean): Exact {
  const [rows, inner] = transposeA ? [a.shape[1], a.shape[0]] : a.shape;
  const columns = transposeB ? b.shape[0] : b.shape[1];
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++)
      for (let k = 0; k < inner; k++)
        values[i * columns + j] +=
          a.values[transposeA ? k * rows + i : i * inner + k] * b.values[transposeB ? j * inner + k : k * columns + j];
  return { shape: [rows, columns], values };
}

function matrices(a: number[], b: number[], transposeA = false, transposeB = false): KernelProblem {
  return {
    inputs: [noise(a, 1), noise(b, 2)],
    run: (x, y) => tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D, transposeA, transposeB),
    definition: (x, y) => product(x, y, transposeA, transposeB),
  };
}

/** Rows of a matrix by number. */
const picked = ({ shape, values }: Exact, rows: number[]): Exact => ({
  shape: [rows.length, shape[1]],
  values: Float64Array.from(rows.flatMap((row) => [...values.subarray(row * shape[1], (row + 1) * shape[1])])),
});

export const ROWS: Record<string, KernelProblem> = {
  'refined regions': {
    inputs: [noise([REGIONS.length, 4], 1)],
    run: (deltas) =>
      tf.tidy(() => refineRegions(deltas as tf.Tensor2D, tf.tensor2d(REGIONS), new Box2BoxTransform([10, 10, 5, 5]), IMAGES)),
    definition: refined,
    forwardOnly: true,
  },
  'product of matrices': matrices([19, 34], [34, 21]),
  'product of matrices, the first transposed': matrices([34, 9], [34, 12], true),
  'product of matrices, the second transposed': matrices([9, 34], [12, 34], false, true),
  'rows, each once': {
    inputs: [noise([6, 5], 1)],
    run: (x) => gatherRows(x, Int32Array.of(4, 0, 5)),
    definition: (x) => picked(x, [4, 0, 5]),
  },
  'rows, some twice': {
    inputs: [noise([6, 5], 1)],
    run: (x) => tf.tidy(() => tf.gather(x, tf.tensor1d([4, 0, 4, 2], 'int32'))),
    definition: (x) => picked(x, [4, 0, 4, 2]),
  },
  'sum in blocks': {
    inputs: [noise([37, 30], 1)],
    run: sumInBlocks,
    definition: ({ values }) => ({ shape: [], values: Float64Array.of(values.reduce((a, b) => a + b)) }),
    forwardOnly: true,
  },
};
