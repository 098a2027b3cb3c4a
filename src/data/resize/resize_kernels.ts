import { Arena } from '../../ops/kernels/arena.js';
import type { PixelArray } from './resize.js';
import { triangleWeights, type Weights } from './triangle_weights.js';

/** Below this many samples, in and out, the copies into the kernels' memory cost more than the kernels save. */
const SMALLEST = 1 << 14;

/** Made when the first large picture comes; null where WebAssembly SIMD is missing. */
let arena: Arena | null | undefined;

/**
 * The bilinear resize on WebAssembly SIMD: the same integers as the plain code.
 * @returns undefined for pictures that it is not made for (not three channels, small, or no SIMD here)
 */
export function resizeOnKernels(image: PixelArray, height: number, width: number): Uint8Array | undefined {
  const { channels, data } = image;
  const resizesRows = width !== image.width;
  const resizesColumns = height !== image.height;
  if (channels !== 3 || Math.max(data.length, height * width * 3) < SMALLEST || !(resizesRows || resizesColumns))
    return undefined;
  arena ??= startArena();
  if (arena === null) return undefined;
  const { kernels } = arena;
  const blocks: number[] = [];
  const allocate = (bytes: number): number => {
    const start = arena!.allocate(bytes);
    blocks.push(start);
    return start;
  };
  try {
    const rows = resizesRows ? triangleWeights(image.width, width) : undefined;
    const columns = resizesColumns ? triangleWeights(image.height, height) : undefined;
    // The row pass reads four bytes for a pixel of three.
    const input = allocate(data.length + 1);
    const middle = rows ? allocate(image.height * width * 3) : input;
    const out = columns ? allocate(height * width * 3) : middle;
    const rowTables = rows && tables(rows, allocate);
    const columnTables = columns && tables(columns, allocate);
    // Views are made after the last allocation, which may have moved the memory.
    new Uint8Array(arena.memory.buffer).set(data, input);
    if (rows && rowTables) {
      const [starts, lengths, weights] = fill(rows, rowTables, arena.memory);
      kernels.resizeColourRows(input, image.height, image.width, width, starts, lengths, weights, rows.stride, middle);
    }
    if (columns && columnTables) {
      const [starts, lengths, weights] = fill(columns, columnTables, arena.memory);
      kernels.resizeColumns(middle, width * 3, height, starts, lengths, weights, columns.stride, out);
    }
    return new Uint8Array(arena.memory.buffer, out, height * width * 3).slice();
  } finally {
    for (const block of blocks) arena.release(block);
  }
}

type Tables = [starts: number, lengths: number, weights: number];

function tables({ starts, lengths, values }: Weights, allocate: (bytes: number) => number): Tables {
  return [allocate(starts.byteLength), allocate(lengths.byteLength), allocate(values.byteLength)];
}

function fill({ starts, lengths, values }: Weights, at: Tables, memory: WebAssembly.Memory): Tables {
  [starts, lengths, values].forEach((table, i) => new Int32Array(memory.buffer, at[i], table.length).set(table));
  return at;
}

function startArena(): Arena | null {
  try {
    return new Arena();
  } catch {
    return null;
  }
}
