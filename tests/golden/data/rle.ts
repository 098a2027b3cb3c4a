import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { decodeRle, encodeRle, rleArea, rleFromString, rleToBox, rleToString, type Rle } from '../../../src/data/rle/rle.js';
import { mergeRles } from '../../../src/data/rle/merge_rle.js';
import { boxToRle, polygonsToRle, polygonToRle } from '../../../src/data/rle/polygon_to_rle.js';
import { boxIou, rleIou } from '../../../src/data/rle/rle_iou.js';
import { compareNumbers, compareValues, type Line } from '../compare.js';
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

type Check = (name: string, actual: unknown, expected: unknown) => void;

function bitmapOfRuns(runs: number[], size: [number, number]): Uint8Array {
  const bitmap = new Uint8Array(size[0] * size[1]);
  let at = 0;
  runs.forEach((run, k) => {
    if (k % 2) bitmap.fill(1, at, at + run);
    at += run;
  });
  return bitmap;
}

/** Run lengths: encoding, strings, decoding, area, box, merging, IoU, polygons and boxes. */
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
  mergeAndIou(folder, caseName, check, add);
  polygons(folder, check);
}

interface RleJson {
  size: [number, number];
  counts: string;
}

interface IouCase {
  iscrowd: number[];
  iou: number[][];
}

const parse = (rle: RleJson): Rle => rleFromString(rle.counts, rle.size);

function mergeAndIou(folder: string, caseName: string, check: Check, add: (line: Line) => void): void {
  if (existsSync(join(folder, 'merge_iou.json'))) {
    interface MergeCase {
      dt: RleJson[];
      gt: RleJson[];
      union?: RleJson;
      intersect?: RleJson;
      merge_of_one?: RleJson;
      iou: IouCase[];
    }
    readJson<{ cases: MergeCase[] }>(folder, 'merge_iou.json').cases.forEach((c, k) => {
      const masks = [...c.dt, ...c.gt].map(parse);
      const text = (rle: Rle): RleJson => ({ size: rle.size, counts: rleToString(rle) });
      if (c.union) check(`merge_iou/${k}/union`, text(mergeRles(masks)), c.union);
      if (c.intersect) check(`merge_iou/${k}/intersection`, text(mergeRles(masks, 'intersection')), c.intersect);
      if (c.merge_of_one) check(`merge_iou/${k}/merge_of_one`, text(mergeRles(masks.slice(0, 1))), c.merge_of_one);
      c.iou.forEach((entry, n) => {
        const actual = rleIou(c.dt.map(parse), c.gt.map(parse), entry.iscrowd);
        add(compareNumbers({ case: caseName, name: `merge_iou/${k}/iou.${n}` }, actual, entry.iou.flat(), { abs: 1e-15 }));
      });
    });
  }
  if (existsSync(join(folder, 'bbox_iou.json'))) {
    const { cases } = readJson<{ cases: { dt: number[][]; gt: number[][]; iscrowd: number[]; iou: number[][] }[] }>(
      folder,
      'bbox_iou.json',
    );
    cases.forEach((c, k) => check(`bbox_iou/${k}`, Array.from(boxIou(c.dt.flat(), c.gt.flat(), c.iscrowd)), c.iou.flat()));
  }
}

function polygons(folder: string, check: Check): void {
  if (existsSync(join(folder, 'polygons.json'))) {
    interface PolygonCase {
      kind: string;
      size: [number, number];
      polygons: number[][];
      parts: string[];
      merged: string;
      area: number;
      bbox: number[];
    }
    readJson<{ cases: PolygonCase[] }>(folder, 'polygons.json').cases.forEach((c, k) => {
      const parts = c.polygons.map((p) => rleToString(polygonToRle(p, ...c.size)));
      const merged = polygonsToRle(c.polygons, ...c.size);
      const actual = { parts, merged: rleToString(merged), area: rleArea(merged), bbox: rleToBox(merged) };
      check(`polygons/${k}_${c.kind}`, actual, { parts: c.parts, merged: c.merged, area: c.area, bbox: c.bbox });
    });
  }
  if (existsSync(join(folder, 'bbox_to_rle.json'))) {
    const { cases } = readJson<{
      cases: { size: [number, number]; bbox: number[]; counts: string; area: number; tobbox: number[] }[];
    }>(folder, 'bbox_to_rle.json');
    cases.forEach((c, k) => {
      const rle = boxToRle(c.bbox, ...c.size);
      const actual = { counts: rleToString(rle), area: rleArea(rle), bbox: rleToBox(rle) };
      check(`bbox_to_rle/${k}`, actual, { counts: c.counts, area: c.area, bbox: c.tobbox });
    });
  }
}
