/**
 * The k largest of `values[start .. start + length)`, largest first; equal values keep their order.
 * @returns indices relative to `start`
 */
export function topK(values: Float32Array, start: number, length: number, k: number): Int32Array {
  const candidates = length <= k ? range(length) : aboveThreshold(values, start, length, k);
  return candidates.sort((a, b) => values[start + b] - values[start + a] || a - b).subarray(0, k);
}

const BINS = 1 << 16;

/** A superset of the k largest, in order of index: all whose upper 16 bits reach those of the k-th. */
function aboveThreshold(values: Float32Array, start: number, length: number, k: number): Int32Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset + start * 4, length);
  const histogram = new Uint32Array(BINS);
  for (let i = 0; i < length; i++) histogram[orderedBits(bits[i]) >>> 16]++;
  let bin = BINS - 1;
  let count = histogram[bin];
  while (count < k) count += histogram[--bin];
  const candidates = new Int32Array(count);
  for (let i = 0, n = 0; i < length; i++) if (orderedBits(bits[i]) >>> 16 >= bin) candidates[n++] = i;
  return candidates;
}

/** Float32 bits as unsigned numbers of the same order. */
function orderedBits(bits: number): number {
  return (bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0;
}

function range(length: number): Int32Array {
  const indices = new Int32Array(length);
  for (let i = 0; i < length; i++) indices[i] = i;
  return indices;
}
