/** Numpy adds blocks of up to this many numbers in eight sums. */
const BLOCK = 128;

/** The mean as `numpy.mean` computes it, to the last bit: the sum halves long arrays and adds each block in eight sums (pairwise summation). */
export function numpyMean(values: Float64Array): number {
  return pairwiseSum(values, 0, values.length) / values.length;
}

function pairwiseSum(values: Float64Array, start: number, length: number): number {
  if (length > BLOCK) {
    const half = Math.floor(length / 2);
    const left = half - (half % 8);
    return pairwiseSum(values, start, left) + pairwiseSum(values, start + left, length - left);
  }
  const end = start + length;
  let at = start;
  let sum = 0;
  if (length >= 8) {
    const sums = values.slice(start, start + 8);
    for (at += 8; at + 8 <= end; at += 8) for (let lane = 0; lane < 8; lane++) sums[lane]! += values[at + lane]!;
    sum = sums[0]! + sums[1]! + (sums[2]! + sums[3]!) + (sums[4]! + sums[5]! + (sums[6]! + sums[7]!));
  }
  for (; at < end; at++) sum += values[at]!;
  return sum;
}
