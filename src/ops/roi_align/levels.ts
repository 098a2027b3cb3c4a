/** The size at which a box belongs to the canonical level (Lin et al. 2017, equation 1). */
export const CANONICAL_BOX_SIZE = 224;
export const CANONICAL_LEVEL = 4;

/** The finest and the coarsest level that regions are given to: 2 and 5 for p2 to p5. */
export interface LevelRange {
  readonly minLevel: number;
  readonly maxLevel: number;
}

/**
 * The pyramid level of each region: floor(4 + log2(sqrt(area) / 224 + 1e-8)) clamped to the levels there are, in float32 as Detectron2 computes it.
 * An inverted box has no area whose root is a number: its level is -minLevel, no map at all, and it pools zeros, as in Detectron2.
 * @param rois [R, 5]
 * @returns    [R] indices from 0
 */
export function assignLevels(rois: Float32Array, minLevel: number, maxLevel: number): Int32Array {
  const f = Math.fround;
  const levels = new Int32Array(rois.length / 5);
  for (let i = 0, at = 0; i < levels.length; i++, at += 5) {
    const area = f(f(rois[at + 3] - rois[at + 1]) * f(rois[at + 4] - rois[at + 2]));
    const level = Math.floor(f(CANONICAL_LEVEL + f(Math.log2(f(f(f(Math.sqrt(area)) / CANONICAL_BOX_SIZE) + 1e-8)))));
    levels[i] = Number.isNaN(level) ? -minLevel : Math.min(Math.max(level, minLevel), maxLevel) - minLevel;
  }
  return levels;
}
