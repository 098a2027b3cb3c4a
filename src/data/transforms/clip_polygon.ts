/** A window with x0 < x1 and y0 < y1. */
export interface Window {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/**
 * The parts of a polygon inside a window. A concave polygon may fall into several parts, which Sutherland and Hodgman's clipping would leave
 * joined by seams along the border; here the ends of the chains inside are sorted along each border and joined two by two (even-odd rule).
 *
 * @param polygon `x0, y0, x1, y1, ...`
 * @returns parts that have an area (those of an outline that crosses itself may cancel out: they stay); the polygon itself when it is inside altogether
 */
export function clipPolygon(polygon: Float64Array, window: Window): Float64Array[] {
  let parts = [polygon];
  // Each border as sign * (coordinate - position) > 0 inside, on axis 0 (x) or 1 (y).
  for (const [axis, position, sign] of [
    [0, window.x0, 1],
    [0, window.x1, -1],
    [1, window.y0, 1],
    [1, window.y1, -1],
  ] as const)
    parts = parts.flatMap((part) => clipAtLine(part, axis, position, sign));
  return parts.filter((part) => part.length >= 6 && !isFlat(part));
}

/** Whether all points lie on one line. */
function isFlat(polygon: Float64Array): boolean {
  const [x, y] = polygon;
  let far = 0;
  for (let i = 2; i < polygon.length; i += 2)
    if (Math.hypot(polygon[i] - x, polygon[i + 1] - y) > Math.hypot(polygon[far] - x, polygon[far + 1] - y)) far = i;
  for (let i = 2; i < polygon.length; i += 2)
    if ((polygon[far] - x) * (polygon[i + 1] - y) !== (polygon[far + 1] - y) * (polygon[i] - x)) return false;
  return true;
}

/** A run of points inside, with the places on the line where it comes in and goes out. */
interface Chain {
  points: number[];
  enter: number;
  leave: number;
}

function clipAtLine(polygon: Float64Array, axis: 0 | 1, position: number, sign: 1 | -1): Float64Array[] {
  const n = polygon.length / 2;
  const distance = (i: number): number => sign * (polygon[(i % n) * 2 + axis] - position);
  let start = -1;
  let outside = 0;
  for (let i = 0; i < n; i++) {
    if (!(distance(i) > 0)) outside++;
    if (distance(i) < 0) start = i;
  }
  // Points on the line alone cut nothing off.
  if (start < 0) return outside === n ? [] : [polygon];
  if (outside === n) return [];
  const chains: Chain[] = [];
  let chain: Chain | undefined;
  for (let k = 0; k < n; k++) {
    const i = start + k;
    const a = distance(i);
    const b = distance(i + 1);
    const along = crossing(polygon, i % n, (i + 1) % n, axis, a, b);
    const point = axis === 0 ? [position, along] : [along, position];
    if (a <= 0 && b > 0) chain = { points: point, enter: along, leave: 0 };
    if (a > 0 && b <= 0 && chain) {
      chain.points.push(...point);
      chain.leave = along;
      chains.push(chain);
      chain = undefined;
    }
    if (b > 0 && chain) chain.points.push(polygon[((i + 1) % n) * 2], polygon[((i + 1) % n) * 2 + 1]);
  }
  return joinChains(chains);
}

/** Where the edge meets the line, along the line. */
function crossing(polygon: Float64Array, i: number, j: number, axis: 0 | 1, a: number, b: number): number {
  const from = polygon[i * 2 + 1 - axis];
  const to = polygon[j * 2 + 1 - axis];
  if (a === 0) return from;
  if (b === 0) return to;
  return from + (to - from) * (a / (a - b));
}

function joinChains(chains: Chain[]): Float64Array[] {
  const ends = chains.flatMap((chain, index) => [
    { index, leaving: false, at: chain.enter },
    { index, leaving: true, at: chain.leave },
  ]);
  ends.sort((p, q) => p.at - q.at);
  const partner = new Map<string, { index: number; leaving: boolean }>();
  for (let k = 0; k + 1 < ends.length; k += 2) {
    partner.set(`${ends[k].index} ${ends[k].leaving}`, ends[k + 1]);
    partner.set(`${ends[k + 1].index} ${ends[k + 1].leaving}`, ends[k]);
  }
  const used = chains.map(() => false);
  const parts: Float64Array[] = [];
  for (let first = 0; first < chains.length; first++) {
    if (used[first]) continue;
    const points: number[] = [];
    let index = first;
    let leaving = true;
    // Outlines that cross themselves may join two leaving ends: then the next chain is walked backwards.
    while (!used[index]) {
      used[index] = true;
      points.push(...(leaving ? chains[index].points : backwards(chains[index].points)));
      const next: { index: number; leaving: boolean } = partner.get(`${index} ${leaving}`)!;
      index = next.index;
      leaving = !next.leaving;
    }
    parts.push(withoutRepeats(points));
  }
  return parts;
}

function backwards(points: number[]): number[] {
  const out: number[] = [];
  for (let i = points.length - 2; i >= 0; i -= 2) out.push(points[i], points[i + 1]);
  return out;
}

function withoutRepeats(points: number[]): Float64Array {
  const out: number[] = [];
  for (let i = 0; i < points.length; i += 2) {
    const previous = i === 0 ? points.length - 2 : i - 2;
    if (points[i] !== points[previous] || points[i + 1] !== points[previous + 1]) out.push(points[i], points[i + 1]);
  }
  return Float64Array.from(out);
}
