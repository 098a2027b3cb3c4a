import type { Config } from '../config/schema.js';

/** A region of a panoptic map: one object, or all of one kind of stuff. */
export interface PanopticSegment {
  /** The value of its pixels, from 1. */
  readonly id: number;
  readonly isThing: boolean;
  /** The class index among the things, or among the semantic classes for stuff. */
  readonly categoryId: number;
  /** Pixels. */
  readonly area: number;
  /** Things only: the score, and which of the instances it is. */
  readonly score?: number;
  readonly instanceIndex?: number;
}

/** Every pixel with the segment that it belongs to; 0 is nothing. */
export interface PanopticMap {
  readonly height: number;
  readonly width: number;
  /** [height, width], row-major. */
  readonly ids: Int32Array;
  readonly segments: readonly PanopticSegment[];
}

/** A thing as it enters the merge. */
export interface ScoredMask {
  readonly score: number;
  readonly categoryId: number;
  /** [height, width], 0 or 1, row-major. */
  bitmap(): Uint8Array;
}

export interface PanopticOptions {
  /** A thing of which more than this share is already covered is dropped. */
  readonly overlapThreshold: number;
  /** Stuff of fewer pixels than this is dropped. */
  readonly stuffAreaLimit: number;
  /** Things that score less are dropped. */
  readonly scoreThreshold: number;
}

/** The three thresholds of `MODEL.PANOPTIC_FPN.COMBINE`. */
export function panopticOptions(cfg: Config): PanopticOptions {
  const { OVERLAP_THRESH, STUFF_AREA_LIMIT, INSTANCES_CONFIDENCE_THRESH } = cfg.MODEL.PANOPTIC_FPN.COMBINE;
  return {
    overlapThreshold: OVERLAP_THRESH,
    stuffAreaLimit: STUFF_AREA_LIMIT,
    scoreThreshold: INSTANCES_CONFIDENCE_THRESH,
  };
}

/**
 * Merges things and stuff into one map without overlaps (Kirillov et al. 2019, section 4; Detectron2's `combine_semantic_and_instance_outputs`):
 * things by falling score, each where nothing lies yet, then stuff where there is no thing. Semantic class 0 means "a thing" and gives no segment.
 * @param instances best first or not: they are sorted, equal scores keep their order
 * @param semantic  [height, width] semantic classes
 */
export function combinePanoptic(
  instances: readonly ScoredMask[],
  semantic: Int32Array,
  height: number,
  width: number,
  { overlapThreshold, stuffAreaLimit, scoreThreshold }: PanopticOptions,
): PanopticMap {
  const ids = new Int32Array(height * width);
  const segments: PanopticSegment[] = [];
  const order = instances.map((_, i) => i).sort((a, b) => instances[b].score - instances[a].score || a - b);
  for (const index of order) {
    const { score, categoryId } = instances[index];
    if (score < scoreThreshold) break;
    const bitmap = instances[index].bitmap();
    let whole = 0;
    let free = 0;
    for (let i = 0; i < bitmap.length; i++) {
      if (!bitmap[i]) continue;
      whole++;
      if (ids[i] === 0) free++;
    }
    if (whole === 0 || (whole - free) / whole > overlapThreshold) continue;
    const id = segments.length + 1;
    for (let i = 0; i < bitmap.length; i++) if (bitmap[i] && ids[i] === 0) ids[i] = id;
    segments.push({ id, isThing: true, categoryId, area: free, score, instanceIndex: index });
  }
  for (const [label, area] of freeAreas(semantic, ids)) {
    if (label === 0 || area < stuffAreaLimit) continue;
    const id = segments.length + 1;
    for (let i = 0; i < ids.length; i++) if (semantic[i] === label && ids[i] === 0) ids[i] = id;
    segments.push({ id, isThing: false, categoryId: label, area });
  }
  return { height, width, ids, segments };
}

/** Semantic classes with how many of their pixels no thing took, by class. */
function freeAreas(semantic: Int32Array, ids: Int32Array): [label: number, area: number][] {
  const areas = new Map<number, number>();
  for (let i = 0; i < ids.length; i++) areas.set(semantic[i], (areas.get(semantic[i]) ?? 0) + Number(ids[i] === 0));
  return [...areas].sort(([a], [b]) => a - b);
}
