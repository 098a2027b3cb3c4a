import * as tf from '@tensorflow/tfjs-core';

/**
 * Enlarges maps by a whole factor, bilinear with half-pixel centres (PyTorch's `interpolate(mode='bilinear', align_corners=False)`).
 * Made of slices and sums, so that its gradient is right on every backend: the stock kernel's throws on cpu for maps that are not square.
 * @param x [N, H, W, C] @returns [N, factor * H, factor * W, C]
 */
export function upsampleBilinear(x: tf.Tensor4D, factor: number): tf.Tensor4D {
  return tf.tidy(() => upsampleAxis(upsampleAxis(x, 1, factor), 2, factor));
}

function upsampleAxis(x: tf.Tensor4D, axis: 1 | 2, factor: number): tf.Tensor4D {
  const length = x.shape[axis];
  const part = (from: number, count: number, of: tf.Tensor4D): tf.Tensor4D => {
    const begin = [0, 0, 0, 0] as [number, number, number, number];
    const size = [...of.shape] as [number, number, number, number];
    begin[axis] = from;
    size[axis] = count;
    return tf.slice(of, begin, size);
  };
  const padded = tf.concat([part(0, 1, x), x, part(length - 1, 1, x)], axis);
  // Output pixel factor * i + phase lies at input position i + offset; the border repeats.
  const phases = Array.from({ length: factor }, (_, phase) => {
    const offset = (phase + 0.5) / factor - 0.5;
    const before = Math.floor(offset);
    const share = offset - before;
    const low = part(1 + before, length, padded);
    if (share === 0) return low;
    return tf.add<tf.Tensor4D>(tf.mul(low, 1 - share), tf.mul(part(2 + before, length, padded), share));
  });
  const shape = [...x.shape] as [number, number, number, number];
  shape[axis] = length * factor;
  return tf.reshape(tf.stack(phases, axis + 1), shape);
}
