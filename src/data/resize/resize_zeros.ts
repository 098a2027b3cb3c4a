/**
 * Bilinear resizing without antialias as scikit-image's `resize(order=1, mode='constant')` with `preserve_range`: pixel centres at a half, zeros around the
 * picture, so that its border darkens where it is enlarged, but not below the darkest value of the picture; fractions are cut off.
 * @param image [height, width, 3] bytes
 * @returns     [height, width, 3] of the new size
 */
export function resizeBilinearZeros(
  image: { readonly data: Uint8Array; readonly height: number; readonly width: number },
  height: number,
  width: number,
): Uint8Array<ArrayBuffer> {
  const { data } = image;
  const rows = taps(image.height, height);
  const columns = taps(image.width, width);
  const least = data.reduce((a, b) => Math.min(a, b), 255);
  const out = new Uint8Array(height * width * 3);
  let o = 0;
  for (let y = 0; y < height; y++) {
    const [first, second, upper, lower] = rows[y];
    const [top, bottom] = [first * image.width, second * image.width];
    for (let x = 0; x < width; x++) {
      const [left, right, near, far] = columns[x];
      for (let c = 0; c < 3; c++) {
        const [topLeft, topRight] = [data[(top + left) * 3 + c], data[(top + right) * 3 + c]];
        const [bottomLeft, bottomRight] = [data[(bottom + left) * 3 + c], data[(bottom + right) * 3 + c]];
        // SciPy's order: a sum whose rounding falls just below a whole number is cut to the one below.
        const sum = topLeft * upper * near + topRight * upper * far + bottomLeft * lower * near + bottomRight * lower * far;
        out[o++] = Math.max(least, sum);
      }
    }
  }
  return out;
}

/** Per new pixel: the two old ones and their weights; one outside has the weight 0. */
function taps(from: number, to: number): readonly (readonly [first: number, second: number, near: number, far: number])[] {
  return Array.from({ length: to }, (_, i) => {
    const position = (from / to) * (i + 0.5) - 0.5;
    const first = Math.floor(position);
    const far = position - first;
    return [Math.max(first, 0), Math.min(first + 1, from - 1), first < 0 ? 0 : 1 - far, first + 1 > from - 1 ? 0 : far] as const;
  });
}
