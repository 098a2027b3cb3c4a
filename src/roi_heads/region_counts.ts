import { compilesPrograms } from '../backends/compiled_programs.js';

/** The numbers of regions that the heads meet on a backend that compiles programs: a quarter of the most, and the most. Empty elsewhere. */
export function regionCounts(most: number): number[] {
  return compilesPrograms() ? [Math.ceil(most / 4), most] : [];
}

/** The smallest of {@link regionCounts} that holds `count` regions; `count` itself where none does. */
export function paddedCount(count: number, most: number): number {
  return regionCounts(most).find((n) => n >= count) ?? count;
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
  const padded = paddedCount(count, most);
  if (padded === count) return boxes;
  const last = boxes[boxes.length - 1];
  const longer = new Float32Array(last.length + 4 * (padded - count));
  longer.set(last);
  return [...boxes.slice(0, -1), longer];
}
