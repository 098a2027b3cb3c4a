import { OFFSET_TRICK_BOXES } from './nms.js';

const f = Math.fround;

/**
 * Suppression within groups by torchvision's plain loops, word for word: the truth for every backend. Up to 1000 boxes the groups are moved apart, above
 * a box suppresses those of its own group only.
 * @param boxes  [N, 4] as (x0, y0, x1, y1), finite
 * @param scores [N], finite
 * @param groups [N] group of each box, not negative
 * @returns      kept indices by decreasing score; equal scores keep the input's order
 */
export function batchedNmsReference(
  boxes: Float32Array,
  scores: Float32Array,
  groups: Int32Array,
  iouThreshold: number,
): number[] {
  const apart = scores.length <= OFFSET_TRICK_BOXES;
  const pitch = f(boxes.reduce((a, b) => Math.max(a, b), -Infinity) + 1);
  const moved = apart ? boxes.map((v, k) => f(v + f(groups[k >> 2] * pitch))) : boxes;
  const order = Int32Array.from(scores.keys()).sort((i, j) => scores[j] - scores[i] || i - j);
  const area = Float32Array.from(scores, (_, i) =>
    f(f(moved[4 * i + 2] - moved[4 * i]) * f(moved[4 * i + 3] - moved[4 * i + 1])),
  );
  const suppressed = new Uint8Array(scores.length);
  const kept: number[] = [];
  order.forEach((i, place) => {
    if (suppressed[i]) return;
    kept.push(i);
    for (let later = place + 1; later < order.length; later++) {
      const j = order[later];
      if (!apart && groups[i] !== groups[j]) continue;
      const w = Math.max(0, f(Math.min(moved[4 * i + 2], moved[4 * j + 2]) - Math.max(moved[4 * i], moved[4 * j])));
      const h = Math.max(0, f(Math.min(moved[4 * i + 3], moved[4 * j + 3]) - Math.max(moved[4 * i + 1], moved[4 * j + 1])));
      const overlap = f(w * h);
      if (f(overlap / f(f(area[i] + area[j]) - overlap)) > iouThreshold) suppressed[j] = 1;
    }
  });
  return kept;
}
