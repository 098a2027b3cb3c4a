import type { MaskCrop } from '../ops/mask_paste/mask_paste.js';
import type { Instance } from '../structures/detected_instances.js';
import { UnionMask } from '../structures/masks/union_mask.js';

/** A piece of a picture, whole pixels: x1 and y1 are exclusive. */
export interface Rectangle {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** What was found in one tile, in pixels of the tile. */
export interface TileResult {
  readonly tile: Rectangle;
  readonly instances: readonly Instance[];
}

/** One instance in the frame of the picture. */
interface Piece {
  readonly tile: number;
  readonly instance: Instance;
  readonly crop: MaskCrop | undefined;
}

/**
 * Joins what overlapping tiles show of the same objects. Two instances of neighbouring tiles are the same object where they are of one class and agree
 * on the pixels that both tiles see: the intersection over union of their masks there (of their boxes, for models without masks) is at least `iou`.
 * However long an object is, its pieces meet in the overlap. Each piece joins at most one of each other tile, the best first.
 * @param size of the picture
 * @param iou  least overlap, 0 to 1
 * @returns best first: masks and boxes united, the score and the keypoints of the surest piece
 */
export function mergeTiles(
  results: readonly TileResult[],
  size: { readonly height: number; readonly width: number },
  iou: number,
): Instance[] {
  const pieces = results.flatMap(({ tile, instances }, t) => instances.map((instance) => piece(instance, tile, t)));
  const agreements: { a: number; b: number; overlap: number }[] = [];
  for (let a = 0; a < pieces.length; a++) {
    for (let b = a + 1; b < pieces.length; b++) {
      if (pieces[a].tile === pieces[b].tile || pieces[a].instance.classIndex !== pieces[b].instance.classIndex) continue;
      const seen = intersection(results[pieces[a].tile].tile, results[pieces[b].tile].tile);
      const overlap = seen ? agreement(pieces[a], pieces[b], seen) : 0;
      if (overlap > 0 && overlap >= iou) agreements.push({ a, b, overlap });
    }
  }
  agreements.sort((x, y) => y.overlap - x.overlap);
  const groups = pieces.map((_, i) => [i]);
  const groupOf = pieces.map((_, i) => i);
  for (const { a, b } of agreements) {
    const [into, from] = [groups[groupOf[a]], groups[groupOf[b]]];
    const tiles = new Set(into.map((i) => pieces[i].tile));
    if (into === from || from.some((i) => tiles.has(pieces[i].tile))) continue;
    into.push(...from);
    for (const i of from) groupOf[i] = groupOf[a];
    from.length = 0;
  }
  const merged = groups.filter((group) => group.length > 0).map((group) => united(group.map((i) => pieces[i]), size)); // prettier-ignore
  return merged.sort((a, b) => b.score - a.score);
}

/** The instance moved from its tile to its place in the picture. */
function piece(instance: Instance, { x0, y0 }: Rectangle, tile: number): Piece {
  const [a, b, c, d] = instance.box;
  const crop = instance.mask?.crop();
  const moved = crop && { ...crop, x0: crop.x0 + x0, y0: crop.y0 + y0, x1: crop.x1 + x0, y1: crop.y1 + y0 };
  const keypoints = instance.keypoints?.map((point) => ({ ...point, x: point.x + x0, y: point.y + y0 }));
  return {
    tile,
    instance: { ...instance, box: [a + x0, b + y0, c + x0, d + y0], ...(keypoints ? { keypoints } : {}) },
    crop: moved,
  };
}

function intersection(a: Rectangle, b: Rectangle): Rectangle | undefined {
  const common = {
    x0: Math.max(a.x0, b.x0),
    y0: Math.max(a.y0, b.y0),
    x1: Math.min(a.x1, b.x1),
    y1: Math.min(a.y1, b.y1),
  };
  return common.x1 > common.x0 && common.y1 > common.y0 ? common : undefined;
}

/** Intersection over union inside a rectangle; 0 where one of them has nothing there. */
function agreement(a: Piece, b: Piece, seen: Rectangle): number {
  if (!a.crop || !b.crop) return boxAgreement(boxOf(a), boxOf(b), seen);
  let both = 0;
  let either = 0;
  for (let y = seen.y0; y < seen.y1; y++) {
    for (let x = seen.x0; x < seen.x1; x++) {
      const [inA, inB] = [isOn(a.crop, x, y), isOn(b.crop, x, y)];
      if (inA && inB) both++;
      if (inA || inB) either++;
    }
  }
  return either === 0 ? 0 : both / either;
}

function boxOf({ instance: { box } }: Piece): Rectangle {
  return { x0: box[0], y0: box[1], x1: box[2], y1: box[3] };
}

function boxAgreement(a: Rectangle, b: Rectangle, seen: Rectangle): number {
  const area = (r: Rectangle | undefined): number => (r ? (r.x1 - r.x0) * (r.y1 - r.y0) : 0);
  const [inA, inB] = [intersection(a, seen), intersection(b, seen)];
  const both = inA && inB ? area(intersection(inA, inB)) : 0;
  const either = area(inA) + area(inB) - both;
  return either === 0 ? 0 : both / either;
}

function isOn({ x0, y0, x1, y1, bitmap }: MaskCrop, x: number, y: number): boolean {
  return x >= x0 && x < x1 && y >= y0 && y < y1 && bitmap[(y - y0) * (x1 - x0) + x - x0] !== 0;
}

function united(pieces: readonly Piece[], { height, width }: { readonly height: number; readonly width: number }): Instance {
  const best = pieces.reduce((a, b) => (b.instance.score > a.instance.score ? b : a)).instance;
  const boxes = pieces.map(({ instance }) => instance.box);
  const box = [
    Math.min(...boxes.map(([x0]) => x0)),
    Math.min(...boxes.map(([, y0]) => y0)),
    Math.max(...boxes.map(([, , x1]) => x1)),
    Math.max(...boxes.map(([, , , y1]) => y1)),
  ] as const;
  const crops = pieces.flatMap(({ crop }) => (crop ? [crop] : []));
  return { ...best, box, mask: crops.length > 0 ? new UnionMask(crops, box, height, width) : undefined };
}
