import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { decodeRle, encodeRle, rleArea, rleFromString, rleToBox, rleToString, type Rle } from '../../../src/data/rle/rle.js';
import { compareValues, unsupported, type Line } from '../compare.js';
import { NOT_YET } from '../unsupported.js';
import { readJson } from './json_file.js';

interface MaskCase {
  name?: string;
  size: [number, number];
  row_major_runs: number[];
  counts_uncompressed: number[];
  counts: string;
  area: number;
  bbox: number[];
  reencoded_counts?: string;
}

function bitmapOfRuns(runs: number[], size: [number, number]): Uint8Array {
  const bitmap = new Uint8Array(size[0] * size[1]);
  let at = 0;
  runs.forEach((run, k) => {
    if (k % 2) bitmap.fill(1, at, at + run);
    at += run;
  });
  return bitmap;
}

/** Runs of masks: encoding, strings, decoding, area and box. */
export async function runRle(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const exact = { abs: 0 };
  const check = (name: string, actual: unknown, expected: unknown): void =>
    add(compareValues({ case: caseName, name }, actual, expected, exact));
  for (const name of ['masks.json', 'noncanonical.json']) {
    if (!existsSync(join(folder, name))) continue;
    const json = readJson<{ masks?: MaskCase[]; cases?: MaskCase[] }>(folder, name);
    (json.masks ?? json.cases ?? []).forEach((c, k) => {
      const label = `${name.replace('.json', '')}/${c.name ?? k}`;
      const bitmap = bitmapOfRuns(c.row_major_runs, c.size);
      const rle: Rle = { size: c.size, counts: Uint32Array.from(c.counts_uncompressed) };
      const parsed = rleFromString(c.counts, c.size);
      const reencoded = encodeRle(bitmap, c.size[0], c.size[1], 'row');
      check(`${label}/string`, rleToString(rle), c.counts);
      check(`${label}/runs`, Array.from(parsed.counts), c.counts_uncompressed);
      check(`${label}/decoded`, Buffer.compare(decodeRle(rle), bitmap), 0);
      check(`${label}/encoded`, rleToString(reencoded), c.reencoded_counts ?? c.counts);
      check(`${label}/area`, rleArea(rle), c.area);
      check(`${label}/box`, rleToBox(rle), c.bbox);
    });
  }
  for (const name of ['merge_iou.json', 'bbox_iou.json', 'polygons.json', 'bbox_to_rle.json']) {
    if (existsSync(join(folder, name))) add(unsupported(caseName, name.replace('.json', ''), NOT_YET));
  }
}
