/**
 * The area that a polygon encloses, pixels; parts that it goes around the other way count against it. The shoelace formula, added up as
 * Detectron2's `polygon_area` does with numpy: two dot products over strided coordinates, so that the last digit is the same.
 *
 * @param polygon `x0, y0, x1, y1, ...`
 */
export function polygonArea(polygon: ArrayLike<number>): number {
  return 0.5 * Math.abs(dotWithPrevious(polygon, 0, 1) - dotWithPrevious(polygon, 1, 0));
}

/** Sum of `a[i] * b[i - 1]` in the order of BLAS' strided ddot: four sums in turn, what is left over goes to the first. */
function dotWithPrevious(polygon: ArrayLike<number>, a: 0 | 1, b: 0 | 1): number {
  const n = polygon.length >> 1;
  const sums: [number, number, number, number] = [0, 0, 0, 0];
  const whole = n - (n % 4);
  for (let i = 0; i < n; i++) {
    const previous = i === 0 ? n - 1 : i - 1;
    sums[i < whole ? i % 4 : 0]! += polygon[i * 2 + a]! * polygon[previous * 2 + b]!;
  }
  return sums[0] + sums[1] + (sums[2] + sums[3]);
}
