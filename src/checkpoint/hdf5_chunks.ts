import { unzlibSync } from 'fflate';
import { CheckpointError } from '../errors.js';
import type { Hdf5Bytes } from './hdf5_bytes.js';

const FILTER = { deflate: 1, shuffle: 2, checksum: 3 } as const;
const UNDEFINED = 0xffffffffffffffffn;
/** A byte of deflate holds at most this many. */
const DEFLATE_RATIO = 1032;
const MAX_DEPTH = 32;

export interface ChunkedDataset {
  /** Where the version 3 layout message is. */
  readonly layout: number;
  /** Where the filter message is, if there is one. */
  readonly filters: number | undefined;
  readonly shape: readonly number[];
  /** Bytes. */
  readonly elementSize: number;
}

interface Chunk {
  readonly at: number;
  readonly size: number;
  /** Bits of filters that were left out. */
  readonly skipped: number;
  /** The first element's place in the dataset. */
  readonly offset: readonly number[];
}

/**
 * The bytes of a dataset in chunks, in C order: those of a version 1 B-tree, plain or through gzip and shuffle, checksums not verified. Chunks that were never
 * written are zeros.
 * @throws CheckpointError for a damaged tree or chunk, or another filter
 */
export function readChunks(file: Hdf5Bytes, path: string, dataset: ChunkedDataset): Uint8Array<ArrayBuffer> {
  const { layout, shape, elementSize } = dataset;
  const rank = file.u8(layout + 2) - 1;
  const size = shape.reduce((product, n) => product * n, elementSize);
  const chunkShape = Array.from({ length: rank }, (_, i) => file.u32(layout + 11 + i * 4));
  const chunkSize = chunkShape.reduce((product, n) => product * n, elementSize);
  const most = file.bytes.length * DEFLATE_RATIO;
  if (rank !== shape.length || rank === 0 || !(size <= most && chunkSize > 0 && chunkSize <= most))
    throw new CheckpointError(`the HDF5 dataset '${path}' has chunks of an impossible size; the file is damaged`);
  const out = new Uint8Array(size);
  const filters = dataset.filters === undefined ? [] : filtersAt(file, dataset.filters, path);
  if (file.u64(layout + 3) === UNDEFINED) return out;
  visitChunks(file, file.address(layout + 3), rank, path, 0, (chunk) => {
    const data = decoded(file.range(path, chunk.at, chunk.size), filters, chunk.skipped, chunkSize, elementSize);
    if (data?.length !== chunkSize) throw new CheckpointError(`a chunk of the HDF5 dataset '${path}' is damaged`);
    place(data, chunkShape, chunk.offset, out, shape, elementSize);
  });
  return out;
}

function filtersAt(file: Hdf5Bytes, at: number, path: string): number[] {
  const version = file.u8(at);
  const filters: number[] = [];
  let next = at + (version === 1 ? 8 : 2);
  for (let i = 0; i < file.u8(at + 1); i++) {
    const id = file.u16(next);
    if (!Object.values<number>(FILTER).includes(id))
      throw new CheckpointError(
        `the HDF5 dataset '${path}' is compressed by filter ${id}; expected gzip. Save it again in Python with compression='gzip' or none`,
      );
    filters.push(id);
    // Known filters have their names in version 1 only.
    const name = version === 1 ? Math.ceil(file.u16(next + 2) / 8) * 8 : 0;
    const values = file.u16(next + (version === 1 ? 6 : 4));
    next += (version === 1 ? 8 : 6) + name + 4 * (version === 1 ? values + (values % 2) : values);
  }
  return filters;
}

/** The leaves of a version 1 B-tree of chunks. */
function visitChunks(
  file: Hdf5Bytes,
  node: number,
  rank: number,
  path: string,
  depth: number,
  visit: (chunk: Chunk) => void,
): void {
  if (depth > MAX_DEPTH || file.signature(node) !== 'TREE' || file.u8(node + 4) !== 1)
    throw new CheckpointError(`the chunks of the HDF5 dataset '${path}' are not to be found; the file is damaged`);
  const level = file.u8(node + 5);
  const keySize = 8 + 8 * (rank + 1);
  for (let i = 0; i < file.u16(node + 6); i++) {
    const key = node + 24 + i * (keySize + 8);
    const child = file.address(key + keySize);
    if (level > 0) {
      visitChunks(file, child, rank, path, depth + 1, visit);
      continue;
    }
    const offset = Array.from({ length: rank }, (_, axis) => file.address(key + 8 + axis * 8));
    visit({ at: child, size: file.u32(key), skipped: file.u32(key + 4), offset });
  }
}

/** A chunk without its filters, the last first; undefined where it cannot be inflated. */
function decoded(
  data: Uint8Array,
  filters: readonly number[],
  skipped: number,
  size: number,
  elementSize: number,
): Uint8Array | undefined {
  let result = data;
  for (let i = filters.length - 1; i >= 0; i--) {
    if ((skipped >> i) & 1) continue;
    if (filters[i] === FILTER.checksum) result = result.subarray(0, Math.max(0, result.length - 4));
    else if (filters[i] === FILTER.shuffle) result = unshuffled(result, elementSize);
    else {
      try {
        // A buffer of the right size: what would inflate to more does not.
        result = unzlibSync(result, { out: new Uint8Array(size + 4) });
      } catch {
        return undefined;
      }
    }
  }
  return result;
}

/** All first bytes, then all second bytes, ... as elements. */
function unshuffled(data: Uint8Array, elementSize: number): Uint8Array {
  const count = Math.floor(data.length / elementSize);
  const out = Uint8Array.from(data);
  for (let byte = 0; byte < elementSize; byte++)
    for (let i = 0; i < count; i++) out[i * elementSize + byte] = data[byte * count + i];
  return out;
}

/** Copies the rows of a chunk that lie inside the dataset: chunks at its end are longer than what is left. */
function place(
  chunk: Uint8Array,
  chunkShape: readonly number[],
  offset: readonly number[],
  out: Uint8Array,
  shape: readonly number[],
  elementSize: number,
): void {
  const last = shape.length - 1;
  const rows = chunkShape.slice(0, last).reduce((product, n) => product * n, 1);
  const length = Math.min(chunkShape[last], shape[last] - offset[last]) * elementSize;
  if (length <= 0) return;
  for (let row = 0; row < rows; row++) {
    let rest = row;
    let to = 0;
    let step = shape[last];
    let inside = true;
    for (let axis = last - 1; axis >= 0; axis--) {
      const position = offset[axis] + (rest % chunkShape[axis]);
      rest = Math.floor(rest / chunkShape[axis]);
      inside &&= position < shape[axis];
      to += position * step;
      step *= shape[axis];
    }
    if (!inside) continue;
    const from = row * chunkShape[last] * elementSize;
    out.set(chunk.subarray(from, from + length), (to + offset[last]) * elementSize);
  }
}
