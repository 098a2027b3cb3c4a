import { compilesPrograms } from '../backends/compiled_programs.js';

/** The numbers of regions that the heads meet on a backend that compiles programs: a quarter of the most, and the most. Empty elsewhere. */
export function regionCounts(most: number): number[] {
  return compilesPrograms() ? [Math.ceil(most / 4), most] : [];
}

/**
 * Boxes of several images, filled up with boxes of zeros behind those of the last image to one of {@link regionCounts}, so that few programs are
 * compiled. As they are where the backend compiles none.
 *
 * @param boxes per image [R_i, 4]
 * @param most  regions of all images together
 */
export function padRegions(boxes: readonly Float32Array[], most: number): readonly Float32Array[] {
  const count = boxes.reduce((sum, { length }) => sum + length / 4, 0);
  const padded = regionCounts(most).find((n) => n >= count) ?? count;
  if (padded === count) return boxes;
  const last = boxes[boxes.length - 1];
  const longer = new Float32Array(last.length + 4 * (padded - count));
  longer.set(last);
  return [...boxes.slice(0, -1), longer];
}
