import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DatasetError } from '../../src/errors.js';
import type { PanopticCategory, PanopticSegment } from '../../src/evaluation/panoptic_quality.js';
import { panopticIds, panopticPixels } from '../../src/data/coco/panoptic_png.js';
import { PanopticQuality } from '../../src/evaluation/panoptic_quality.js';
import { goldenFolder } from '../golden_folder.js';

// The golden files are plain JSON; their shapes are in the folder's README.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Json = any;

const folder = goldenFolder();
const categories = [
  { id: 1, isthing: 1 },
  { id: 2, isthing: 0 },
];

describe('PanopticQuality', () => {
  it('counts a match, a miss and a false positive by hand', () => {
    const quality = new PanopticQuality(categories);
    quality.add(
      {
        ids: Uint32Array.of(7, 7, 7, 8, 0, 0),
        segments: [
          { id: 7, category_id: 1, area: 3 },
          { id: 8, category_id: 2, area: 1 },
        ],
      },
      {
        ids: Uint32Array.of(5, 5, 6, 6, 9, 9),
        segments: [
          { id: 5, category_id: 1 },
          { id: 6, category_id: 2 },
          { id: 9, category_id: 1 },
        ],
      },
      '1',
    );
    const { perClass, all, things, percentages } = quality.result();
    // 5 covers two of the three pixels of 7; 9 lies on void and does not count; 6 against 8 is 1 of 2, which is not more than half.
    expect(perClass.get(1)).toEqual({ pq: 2 / 3, sq: 2 / 3, rq: 1, tp: 1, fp: 0, fn: 0, iouSum: 2 / 3 });
    expect(perClass.get(2)).toEqual({ pq: 0, sq: 0, rq: 0, tp: 0, fp: 1, fn: 1, iouSum: 0 });
    expect(all.pq).toBeCloseTo(1 / 3, 12);
    expect(things.n).toBe(1);
    expect(percentages['PQ_th']).toBeCloseTo(200 / 3, 10);
  });

  it('refuses pixels that disagree with the list', () => {
    const truth = { ids: Uint32Array.of(0, 0), segments: [] };
    const add = (ids: number[], segments: PanopticSegment[]) => () =>
      new PanopticQuality(categories).add(truth, { ids: Uint32Array.from(ids), segments }, '12');
    expect(add([3, 3], [])).toThrow(/Image 12: .*segment 3 is in the pixels/);
    expect(add([0, 0], [{ id: 4, category_id: 1 }])).toThrow(/segment 4 is in the list/);
    expect(add([4, 0], [{ id: 4, category_id: 9 }])).toThrow(/category 9/);
    expect(add([4], [{ id: 4, category_id: 1 }])).toThrow(DatasetError);
  });

  it('keeps ids in pixels', () => {
    const ids = Uint32Array.of(0, 255, 256, 16777215);
    expect(panopticIds(panopticPixels(ids))).toEqual(ids);
  });

  it.skipIf(!folder)('equals the golden numbers', async () => {
    const at = (name: string) => join(folder!, 'data/panoptic', name);
    const json = (name: string) => JSON.parse(readFileSync(at(name), 'utf8')) as Json;
    type Entry = { image_id: number; file_name: string; segments_info: PanopticSegment[] };
    const truth = json('gt.json') as { annotations: Entry[]; categories: PanopticCategory[] };
    const found = new Map((json('pred.json').annotations as Entry[]).map((a) => [a.image_id, a]));
    const expected = json('expected.json');
    const pixels = async (file: string) => panopticIds(await sharp(file).removeAlpha().raw().toBuffer());
    const check = (quality: PanopticQuality, e: Json) => {
      const ours = quality.result();
      for (const [mean, key] of [
        [ours.all, 'All'],
        [ours.things, 'Things'],
        [ours.stuff, 'Stuff'],
      ] as const) {
        expect(mean.n).toBe(e[key].n);
        for (const k of ['pq', 'sq', 'rq'] as const)
          if (mean.n > 0) expect(Math.abs(mean[k] - e[key][k])).toBeLessThanOrEqual(1e-12);
      }
      for (const [id, c] of Object.entries<Json>(e.per_class)) {
        const o = ours.perClass.get(Number(id))!;
        expect([o.tp, o.fp, o.fn]).toEqual([c.tp, c.fp, c.fn]);
        for (const [a, b] of [
          [o.pq, c.pq],
          [o.sq, c.sq],
          [o.rq, c.rq],
          [o.iouSum, c.iou_sum],
        ])
          expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-12);
      }
      for (const [name, v] of Object.entries<number>(e.detectron2))
        expect(Math.abs(ours.percentages[name]! - v)).toBeLessThanOrEqual(1e-10);
    };
    const total = new PanopticQuality(truth.categories);
    const perImage = new Map(expected.per_image.map((e: { image_id: number }) => [e.image_id, e]));
    for (const a of truth.annotations) {
      const p = found.get(a.image_id)!;
      const t = { ids: await pixels(at(`gt/${a.file_name}`)), segments: a.segments_info };
      const d = { ids: await pixels(at(`pred/${p.file_name}`)), segments: p.segments_info };
      const single = new PanopticQuality(truth.categories);
      single.add(t, d, String(a.image_id));
      check(single, perImage.get(a.image_id));
      total.add(t, d, String(a.image_id));
    }
    check(total, expected.dataset);
  });
});
