import type { DatasetRecord } from '../../data/coco/dataset_records.js';

/** What a recipe and the checks before a training look at. */
export interface DatasetFacts {
  readonly pictures: number;
  /** Pictures without any object that is not a crowd. */
  readonly withoutObjects: number;
  /** (height, width) of every picture. */
  readonly sizes: readonly (readonly [number, number])[];
  /** Every object that is not a crowd: class, height and width of its box and short side of its picture, in pixels of the file. */
  readonly objects: readonly ObjectFact[];
  readonly classNames: readonly string[];
  /** Objects a class. */
  readonly counts: readonly number[];
}

/** One object. */
export interface ObjectFact {
  readonly height: number;
  readonly width: number;
  readonly picture: readonly [number, number];
}

/** Counts and sizes of a data set, from its records. */
export function datasetFacts(records: readonly DatasetRecord[], classNames: readonly string[], leftOut = 0): DatasetFacts {
  const counts = classNames.map(() => 0);
  const objects: ObjectFact[] = [];
  let withoutObjects = leftOut;
  for (const { annotations, height, width } of records) {
    const real = annotations.filter(({ iscrowd }) => !iscrowd);
    if (real.length === 0) withoutObjects++;
    for (const { category_id: category, bbox } of real) {
      counts[category]++;
      if (bbox && bbox.length === 4) objects.push({ height: bbox[3], width: bbox[2], picture: [height, width] });
    }
  }
  const sizes = records.map(({ height, width }) => [height, width] as const);
  return { pictures: records.length + leftOut, withoutObjects, sizes, objects, classNames, counts };
}

/** The value below which that share of the values lies; NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** How much a picture is enlarged for the network: short side to `shortest`, unless the long one would exceed `longest`. */
export function inputScale([height, width]: readonly [number, number], shortest: number, longest: number): number {
  if (shortest <= 0) return 1;
  return Math.min(shortest / Math.min(height, width), longest / Math.max(height, width));
}
