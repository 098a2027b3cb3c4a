import { BatchStream, InferenceSampler, repeatFactors, repeatedIndices } from '../../../../src/data/samplers/index.js';
import { compareNumbers, compareValues, type Line } from '../../compare.js';
import { readJson } from '../json_file.js';

interface Golden {
  aspect_ratio_grouping: { wh: [number, number][]; batches: Record<string, number[][]> };
  repeat_factor: {
    category_ids_per_image: number[][];
    results: { repeat_thresh: number; sqrt: boolean; factors: number[] }[];
    epoch: { repeat_thresh: number; sqrt: boolean; rands: number[]; indices: number[] };
  };
}

/** Aspect-ratio groups, repeat factors and the pictures of an epoch. */
export async function runSampling(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const { aspect_ratio_grouping: grouping, repeat_factor: repeat } = readJson<Golden>(folder, 'sampling.json');
  const sides = grouping.wh.map(([width, height]) => ({ width, height }));
  for (const [size, expected] of Object.entries(grouping.batches)) {
    const stream = new BatchStream(new InferenceSampler(sides.length), Number(size), sides);
    const batches: number[][] = [];
    try {
      // The sampler ends; batches that are not full are kept, not given.
      for (;;) batches.push(stream.next().map(({ index }) => index));
    } catch {
      add(compareValues({ case: caseName, name: `sampling/groups_of_${size}` }, batches, expected, { abs: 0 }));
    }
  }
  repeat.results.forEach(({ repeat_thresh, sqrt, factors }, i) => {
    const actual = repeatFactors(repeat.category_ids_per_image, repeat_thresh, sqrt);
    add(compareNumbers({ case: caseName, name: `sampling/repeat_factors.${i}` }, actual, factors, { abs: 0, rel: 1e-6 }));
  });
  const { repeat_thresh, sqrt, rands, indices } = repeat.epoch;
  const drawn = repeatedIndices(repeatFactors(repeat.category_ids_per_image, repeat_thresh, sqrt), rands);
  add(compareNumbers({ case: caseName, name: 'sampling/epoch' }, drawn, indices, { abs: 0 }));
}
