import { CheckpointError } from '../errors.js';
import { ELEMENT_SIZES, TensorData, elementCount } from './tensor_data.js';
import type { ElementType } from './tensor_data.js';

/** The format's own limit of the header, 100 MB. */
const MAX_HEADER = 100_000_000;

export interface Safetensors {
  tensors: Map<string, TensorData>;
  metadata: Record<string, string>;
}

/**
 * Reads a safetensors file that lies in memory; the tensors are views of its bytes.
 * @param source names the bytes in errors
 * @throws CheckpointError: truncated, a header that is no JSON or too long, overlapping or ill-sized tensors
 */
export function parseSafetensors(bytes: Uint8Array, source: string): Safetensors {
  const fail = (problem: string, cause?: unknown): never => {
    throw new CheckpointError(`${source}: cannot read the safetensors file: ${problem}.`, { cause });
  };
  if (bytes.byteLength < 8) return fail(`it has ${bytes.byteLength} bytes and is truncated. Download or copy it again`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER) return fail(`its header claims ${length} bytes (limit ${MAX_HEADER})`);
  if (8 + length > bytes.byteLength)
    return fail('it ends inside the header; it is truncated or damaged. Download or copy it again');
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch (cause) {
    return fail('its header is not JSON', cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) return fail('its header is not a JSON object');
  const body = bytes.subarray(8 + length);
  const tensors = new Map<string, TensorData>();
  const metadata: Record<string, string> = {};
  const ranges: { name: string; begin: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(header as Record<string, unknown>)) {
    if (name === '__metadata__') {
      if (typeof entry === 'object' && entry !== null)
        for (const [key, value] of Object.entries(entry)) metadata[key] = String(value);
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
    if (typeof dtype !== 'string' || !isElementType(dtype))
      return fail(`tensor '${name}' has element type '${String(dtype)}'; ${Object.keys(ELEMENT_SIZES).join(', ')} can be read`);
    if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2)
      return fail(`tensor '${name}' has no proper shape and data_offsets`);
    const [begin, end] = offsets;
    if (end > body.byteLength)
      return fail(
        `tensor '${name}' ends at byte ${end} of ${body.byteLength}; the file is truncated or damaged. Download or copy it again`,
      );
    const wanted = elementCount(shape) * ELEMENT_SIZES[dtype];
    if (end - begin !== wanted)
      return fail(`tensor '${name}' of shape [${shape.join(', ')}] (${dtype}) has ${end - begin} bytes instead of ${wanted}`);
    ranges.push({ name, begin, end });
    tensors.set(name, new TensorData(body.subarray(begin, end), dtype, shape));
  }
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  for (let i = 1; i < ranges.length; i++) {
    if (ranges[i].begin < ranges[i - 1].end) return fail(`tensors '${ranges[i - 1].name}' and '${ranges[i].name}' overlap`);
  }
  return { tensors, metadata };
}

function isElementType(name: string): name is ElementType {
  return Object.hasOwn(ELEMENT_SIZES, name);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
