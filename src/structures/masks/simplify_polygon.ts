/**
 * Thins a closed polygon (Douglas and Peucker, split at its first point and the one farthest from it): every point left out lies within `tolerance` of
 * the result.
 *
 * @param points x, y, x, y, ...
 * @returns the points that are kept, in order
 */
export function simplifyPolygon(points: readonly number[], tolerance: number): number[] {
  const n = points.length / 2;
  const keep = new Uint8Array(n);
  let far = 0;
  for (let i = 1, best = -1; i < n; i++) {
    const distance = (points[2 * i]! - points[0]!) ** 2 + (points[2 * i + 1]! - points[1]!) ** 2;
    if (distance > best) [best, far] = [distance, i];
  }
  keep[0] = keep[far] = 1;
  const spans: [number, number][] = [
    [0, far],
    [far, n],
  ];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [from, to] = span;
    const [ax, ay] = [points[2 * from]!, points[2 * from + 1]!];
    const end = to % n;
    const [dx, dy] = [points[2 * end]! - ax, points[2 * end + 1]! - ay];
    const length = Math.hypot(dx, dy) || 1;
    let [worst, at] = [tolerance, -1];
    for (let i = from + 1; i < to; i++) {
      const distance = Math.abs((points[2 * i]! - ax) * dy - (points[2 * i + 1]! - ay) * dx) / length;
      if (distance > worst) [worst, at] = [distance, i];
    }
    if (at < 0) continue;
    keep[at] = 1;
    spans.push([from, at], [at, to]);
  }
  const kept: number[] = [];
  for (let i = 0; i < n; i++) if (keep[i]) kept.push(points[2 * i]!, points[2 * i + 1]!);
  return kept;
}
