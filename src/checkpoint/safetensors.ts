import { writeFileAtomic } from '../atomic_file.js';
import { CheckpointError } from '../errors.js';
import { readFileBytes } from './file_bytes.js';
import { parseSafetensors, type Safetensors } from './parse_safetensors.js';
import { ELEMENT_SIZES, elementCount } from './tensor_data.js';
import type { ElementType } from './tensor_data.js';

export { parseSafetensors, type Safetensors } from './parse_safetensors.js';

type NumberArray =
  | Uint8Array
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint16Array
  | Int8Array
  | Int16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A tensor to write: little-endian data in C order, or a function that makes it when its turn comes, so that only one is in memory. */
export interface SafetensorsTensor {
  shape: readonly number[];
  dtype: ElementType;
  data: NumberArray | (() => NumberArray);
}

/**
 * Reads a safetensors file; the tensors are views of its bytes.
 * @throws CheckpointError that names the file: truncated, a header that is no JSON or too long, overlapping or ill-sized tensors.
 */
export async function readSafetensors(source: string | Uint8Array): Promise<Safetensors> {
  if (typeof source === 'string') return parseSafetensors(await readFileBytes(source), source);
  return parseSafetensors(source, 'safetensors bytes');
}

/**
 * Writes tensors in the order of the map, atomically and one at a time (no second copy of the file in memory).
 * @param metadata strings for the header's `__metadata__`
 * @throws CheckpointError where data and shape disagree.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  // Without a prototype: `__proto__` is a name like any other.
  const header = Object.create(null) as Record<string, unknown>;
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  // Widest elements first keeps every tensor aligned, which the format asks of writers.
  const ordered = [...tensors].sort(([, a], [, b]) => ELEMENT_SIZES[b.dtype] - ELEMENT_SIZES[a.dtype]);
  let offset = 0;
  for (const [name, { shape, dtype, data }] of ordered) {
    const wanted = elementCount(shape) * ELEMENT_SIZES[dtype];
    if (typeof data !== 'function') checkLength(name, shape, dtype, data);
    header[name] = { dtype, shape, data_offsets: [offset, offset + wanted] };
    offset += wanted;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(8 + Math.ceil(json.byteLength / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.byteLength - 8), true);
  padded.set(json, 8);
  await writeFileAtomic(path, chunks(padded, ordered));
}

function* chunks(header: Uint8Array, tensors: [string, SafetensorsTensor][]): Iterable<Uint8Array> {
  yield header;
  for (const [name, { shape, dtype, data }] of tensors) {
    const made = typeof data === 'function' ? data() : data;
    checkLength(name, shape, dtype, made);
    yield new Uint8Array(made.buffer, made.byteOffset, made.byteLength);
  }
}

function checkLength(name: string, shape: readonly number[], dtype: ElementType, data: NumberArray): void {
  const wanted = elementCount(shape) * ELEMENT_SIZES[dtype];
  if (data.byteLength === wanted) return;
  throw new CheckpointError(
    `tensor '${name}' of shape [${shape.join(', ')}] (${dtype}) needs ${wanted} bytes, not ${data.byteLength}.`,
  );
}
