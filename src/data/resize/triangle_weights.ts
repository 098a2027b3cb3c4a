/** Pillow's `PRECISION_BITS` for 8-bit samples: 32 - 8 - 2. */
export const PRECISION_BITS = 22;

/** How output positions of an axis are made from input positions. */
export interface Weights {
  /** First input position of each output position. */
  starts: Int32Array;
  /** Number of input positions of each output position. */
  lengths: Int32Array;
  /** [outputs, stride] fixed-point weights. */
  values: Int32Array;
  stride: number;
}

/** Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` for the triangle filter over the whole axis. */
export function triangleWeights(inputSize: number, outputSize: number): Weights {
  const scale = inputSize / outputSize;
  const support = Math.max(scale, 1);
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(outputSize);
  const lengths = new Int32Array(outputSize);
  const values = new Int32Array(outputSize * stride);
  const weights = new Float64Array(stride);
  const inverse = 1 / support;
  for (let i = 0; i < outputSize; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const length = Math.min(Math.trunc(center + support + 0.5), inputSize) - first;
    let sum = 0;
    for (let x = 0; x < length; x++) {
      const distance = Math.abs((x + first - center + 0.5) * inverse);
      weights[x] = distance < 1 ? 1 - distance : 0;
      sum += weights[x];
    }
    for (let x = 0; x < length; x++) {
      const normalised = sum !== 0 ? weights[x] / sum : weights[x];
      values[i * stride + x] = Math.trunc(0.5 + normalised * (1 << PRECISION_BITS));
    }
    starts[i] = first;
    lengths[i] = length;
  }
  return { starts, lengths, values, stride };
}
