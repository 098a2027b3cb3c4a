import * as tf from '@tensorflow/tfjs-core';

/** Moves the map by (top, left), negative: cuts off, and gives it the size [height, width], filling with zeros. */
export function placeMap(x: tf.Tensor4D, top: number, left: number, height: number, width: number): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  if (top === 0 && left === 0 && height === h && width === w) return x;
  const y0 = Math.max(0, -top);
  const x0 = Math.max(0, -left);
  const y1 = Math.min(h, height - top);
  const x1 = Math.min(w, width - left);
  const part = tf.slice(x, [0, y0, x0, 0], [n, y1 - y0, x1 - x0, c]);
  return tf.pad(part, [
    [0, 0],
    [y0 + top, height - y1 - top],
    [x0 + left, width - x1 - left],
    [0, 0],
  ]);
}

/** Puts `stride - 1` zero rows and columns after every row and column. */
export function spread(x: tf.Tensor4D, strideHeight: number, strideWidth: number): tf.Tensor4D {
  if (strideHeight === 1 && strideWidth === 1) return x;
  const [n, h, w, c] = x.shape;
  const cells = tf.pad(tf.reshape(x, [n * h, 1, w, 1, c]), [
    [0, 0],
    [0, strideHeight - 1],
    [0, 0],
    [0, strideWidth - 1],
    [0, 0],
  ]);
  return tf.reshape(cells, [n, h * strideHeight, w * strideWidth, c]);
}

/** The first of every `stride` rows and columns: {@link spread} undone. Plain slices, which are much faster than a strided one. */
export function pick(x: tf.Tensor4D, strideHeight: number, strideWidth: number): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  const [rows, columns] = [Math.ceil(h / strideHeight), Math.ceil(w / strideWidth)];
  return tf.tidy(() => {
    const whole = placeMap(x, 0, 0, rows * strideHeight, columns * strideWidth);
    const lines = tf.reshape(whole, [n * rows, strideHeight * columns * strideWidth * c]);
    const cells = tf.reshape(tf.slice(lines, [0, 0], [-1, columns * strideWidth * c]), [n * rows * columns, strideWidth * c]);
    return tf.reshape(tf.slice(cells, [0, 0], [-1, c]), [n, rows, columns, c]);
  });
}
