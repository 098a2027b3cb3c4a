import { polygonArea } from '../../../../src/data/polygon_area.js';
import { compareNumbers, type Line } from '../../compare.js';

/** Compares cut polygons: areas (relative 1e-6) and sets of vertices (1e-6), in any order of polygons and vertices. */
export function compareCutPolygons(
  where: { case: string; name: string },
  actual: readonly Float64Array[],
  expected: readonly number[][],
): Line[] {
  const areas = (list: readonly ArrayLike<number>[]): number[] =>
    list.map((p) => polygonArea(Float64Array.from(p))).sort((a, b) => a - b);
  return [
    compareNumbers({ ...where, name: `${where.name}.area` }, areas(actual), areas(expected), { abs: 1e-9, rel: 1e-6 }),
    compareNumbers({ ...where, name: `${where.name}.vertices` }, vertices(actual), vertices(expected), { abs: 1e-6 }),
  ];
}

/** All different points, sorted; points that lie between their neighbours on one line say nothing and are left out. */
function vertices(polygons: readonly ArrayLike<number>[]): number[] {
  const points = new Map<string, [number, number]>();
  for (const p of polygons) {
    const n = p.length / 2;
    for (let i = 0; i < n; i++) {
      const at = (k: number): [number, number] => [p[((k + n) % n) * 2]!, p[((k + n) % n) * 2 + 1]!];
      const [a, b, c] = [at(i - 1), at(i), at(i + 1)];
      const turn = (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]);
      if (Math.abs(turn) > 1e-6) points.set(b.map((v) => v.toFixed(5)).join(), b);
    }
  }
  return [...points.values()].sort((a, b) => Math.round((a[0] - b[0]) * 1e5) || a[1] - b[1]).flat();
}
