/**
 * The k largest of `values[start .. start + length)`, largest first; equal values keep their order. Both zeros are equal, and what is not a number is
 * above all.
 * @returns indices relative to `start`
 */
export function topK(values: Float32Array, start: number, length: number, k: number): Int32Array {
  const candidates = length <= k ? range(length) : aboveThreshold(values, start, length, k);
  const isNumber = (i: number): number => (Number.isNaN(values[start + i]) ? 0 : 1);
  return candidates
    .sort((a, b) => {
      const difference = values[start + b] - values[start + a];
      // Not a number where one of them is none, or both are the same infinity.
      return (Number.isNaN(difference) ? isNumber(a) - isNumber(b) : difference) || a - b;
    })
    .subarray(0, k);
}

/** Bits of a value that one histogram tells apart. */
const BITS = 11;
const BINS = 1 << BITS;

/** A superset of the k largest, in order of index: all whose upper 22 bits reach those of the k-th, found by two small histograms. */
function aboveThreshold(values: Float32Array, start: number, length: number, k: number): Int32Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset + start * 4, length);
  const coarse = new Uint32Array(BINS);
  for (let i = 0; i < length; i++) coarse[orderedBits(bits[i]) >>> (32 - BITS)]++;
  const upper = reach(coarse, k);
  const fine = new Uint32Array(BINS);
  for (let i = 0; i < length; i++) {
    const ordered = orderedBits(bits[i]) >>> (32 - 2 * BITS);
    if (ordered >>> BITS === upper.bin) fine[ordered & (BINS - 1)]++;
  }
  const lower = reach(fine, k - upper.above);
  const least = (upper.bin << BITS) | lower.bin;
  const candidates = new Int32Array(upper.above + lower.above + fine[lower.bin]);
  for (let i = 0, n = 0; i < length; i++) if (orderedBits(bits[i]) >>> (32 - 2 * BITS) >= least) candidates[n++] = i;
  return candidates;
}

/** The bin that holds the k-th largest, and how many lie in the bins above it. */
function reach(histogram: Uint32Array, k: number): { bin: number; above: number } {
  let bin = BINS - 1;
  let above = 0;
  while (above + histogram[bin] < k) above += histogram[bin--];
  return { bin, above };
}

/** Float32 bits as unsigned numbers of the same order, those of -0 as those of 0; what is not a number is above all. */
function orderedBits(bits: number): number {
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0xffffffff;
  return (bits === magnitude || magnitude === 0 ? magnitude | 0x80000000 : ~bits) >>> 0;
}

function range(length: number): Int32Array {
  const indices = new Int32Array(length);
  for (let i = 0; i < length; i++) indices[i] = i;
  return indices;
}
