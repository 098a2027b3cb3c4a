import type { CocoDataset } from '../data/coco/coco_types.js';

/** Proposals of one image. */
export interface ImageProposals {
  imageId: number;
  /** x0, y0, x1, y1 per proposal, pixels. */
  boxes: Float32Array;
  /** One per proposal. */
  objectness: Float32Array;
}

/** Recall of box proposals; all float32, as Detectron2 computes it. */
export interface ProposalRecall {
  /** The mean of `recalls`. */
  averageRecall: number;
  /** One per threshold. */
  recalls: Float32Array;
  thresholds: Float32Array;
  /** Ground-truth boxes counted. */
  positives: number;
}

/** Detectron2's names of area ranges, inclusive, in pixels. */
export const PROPOSAL_AREAS = {
  all: [0, 1e10],
  small: [0, 32 ** 2],
  medium: [32 ** 2, 96 ** 2],
  large: [96 ** 2, 1e10],
  '96-128': [96 ** 2, 128 ** 2],
  '128-256': [128 ** 2, 256 ** 2],
  '256-512': [256 ** 2, 512 ** 2],
  '512-inf': [512 ** 2, 1e10],
} as const;

/**
 * How much of the ground truth (crowds excluded) the best proposals cover, one proposal to one box, at IoU 0.50:0.05:0.95. Images without
 * proposals do not count, as in Detectron2.
 *
 * @param limit only so many proposals of each image, by objectness
 */
export function proposalRecall(
  dataset: CocoDataset,
  proposals: Iterable<ImageProposals>,
  area: keyof typeof PROPOSAL_AREAS = 'all',
  limit = Infinity,
): ProposalRecall {
  const [low, high] = PROPOSAL_AREAS[area];
  const byImage = new Map<number, { box: readonly number[]; area: number }[]>();
  for (const a of dataset.annotations) {
    if (a.iscrowd || !a.bbox) continue;
    const list = byImage.get(a.image_id);
    const item = { box: a.bbox, area: Math.fround(a.area ?? NaN) };
    if (list) list.push(item);
    else byImage.set(a.image_id, [item]);
  }
  const overlaps: number[] = [];
  let positives = 0;
  for (const { imageId, boxes, objectness } of proposals) {
    if (objectness.length === 0) continue;
    const truth = (byImage.get(imageId) ?? []).filter((t) => t.area >= low && t.area <= high);
    positives += truth.length;
    if (truth.length === 0) continue;
    const order = Array.from(objectness.keys()).sort((a, b) => objectness[b]! - objectness[a]!);
    if (order.length > limit) order.length = limit;
    for (const v of bestCovers(pairwise(boxes, order, truth), order.length, truth.length)) overlaps.push(v);
  }
  const thresholds = Float32Array.from({ length: 10 }, (_, i) => 0.5 + i * 0.05);
  const recalls = thresholds.map((t) => overlaps.filter((v) => v >= t).length / positives);
  return { averageRecall: Math.fround(recalls.reduce((a, b) => a + b, 0) / recalls.length), recalls, thresholds, positives };
}

function pairwise(boxes: Float32Array, order: readonly number[], truth: readonly { box: readonly number[] }[]): Float32Array {
  const f = Math.fround;
  const corners = Float32Array.from(
    truth.flatMap(({ box }) => [box[0]!, box[1]!, f(f(box[0]!) + f(box[2]!)), f(f(box[1]!) + f(box[3]!))]),
  );
  const size = (b: Float32Array, i: number) => f(f(b[i + 2]! - b[i]!) * f(b[i + 3]! - b[i + 1]!));
  const out = new Float32Array(order.length * truth.length);
  order.forEach((index, p) => {
    const i = index * 4;
    for (let g = 0; g < truth.length; g++) {
      const j = g * 4;
      const w = f(Math.min(boxes[i + 2]!, corners[j + 2]!) - Math.max(boxes[i]!, corners[j]!));
      const h = f(Math.min(boxes[i + 3]!, corners[j + 3]!) - Math.max(boxes[i + 1]!, corners[j + 1]!));
      const common = f(Math.max(w, 0) * Math.max(h, 0));
      out[p * truth.length + g] = common > 0 ? common / f(f(size(boxes, i) + size(corners, j)) - common) : 0;
    }
  });
  return out;
}

/** Greedy cover: the best covered box takes its best proposal, again and again; the overlaps in that order, zeros where proposals run out. */
function bestCovers(ious: Float32Array, P: number, G: number): Float32Array {
  const out = new Float32Array(G);
  for (let n = 0; n < Math.min(P, G); n++) {
    let best = -Infinity;
    let box = 0;
    let proposal = 0;
    for (let g = 0; g < G; g++)
      for (let p = 0; p < P; p++)
        if (ious[p * G + g]! > best) {
          best = ious[p * G + g]!;
          box = g;
          proposal = p;
        }
    out[n] = best;
    for (let g = 0; g < G; g++) ious[proposal * G + g] = -1;
    for (let p = 0; p < P; p++) ious[p * G + box] = -1;
  }
  return out;
}
