import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from '../../properties.js';
import { describe, expect, it } from 'vitest';
import { mergeRles } from '../../../src/data/rle/merge_rle.js';
import { boxToRle, polygonsToRle, polygonToRle } from '../../../src/data/rle/polygon_to_rle.js';
import type { Rle } from '../../../src/data/rle/rle.js';
import { decodeRle, encodeRle, rleArea, rleFromString, rleToBox, rleToString } from '../../../src/data/rle/rle.js';
import { boxIou, rleIou } from '../../../src/data/rle/rle_iou.js';
import { rleToCoco, segmentationToRle } from '../../../src/data/rle/segmentation.js';
import { ArgumentError } from '../../../src/errors.js';
import { goldenFolder } from '../../golden_folder.js';

const folder = goldenFolder();
const golden = (name: string) => (JSON.parse(readFileSync(join(folder!, 'data/rle', name), 'utf8')) as { cases: any[] }).cases; // eslint-disable-line @typescript-eslint/no-explicit-any
const mask = (rows: string[]): Rle =>
  encodeRle(
    Uint8Array.from(rows.join(''), (c) => (c === '#' ? 1 : 0)),
    rows.length,
    rows[0]!.length,
    'row',
  );

describe('mask operations', () => {
  const a = mask(['##..', '##..', '....']);
  const b = mask(['.##.', '.##.', '....']);

  it('merges and intersects', () => {
    expect(mergeRles([a, b])).toEqual(mask(['###.', '###.', '....']));
    expect(mergeRles([a, b], 'intersection')).toEqual(mask(['.#..', '.#..', '....']));
    expect(mergeRles([])).toEqual({ size: [0, 0], counts: new Uint32Array(0) });
    expect(() => mergeRles([a, mask(['#'])])).toThrow(ArgumentError);
  });

  it('computes IoU, with the detection as denominator for a crowd', () => {
    expect([...rleIou([a, b], [a, b])]).toEqual([1, 2 / 6, 2 / 6, 1]);
    expect([...rleIou([a], [b, b], [0, 1])]).toEqual([2 / 6, 2 / 4]);
    expect([...rleIou([a], [mask(['##', '##'])])]).toEqual([-1]);
    expect([...boxIou([0, 0, 2, 2], [1, 0, 2, 2, 5, 5, 1, 1])]).toEqual([2 / 6, 0]);
    expect([...boxIou([0, 0, 2, 2], [1, 0, 9, 9], [1])]).toEqual([2 / 4]);
  });

  it('rasterises polygons and boxes', () => {
    expect(decodeRle(polygonToRle([1, 1, 3, 1, 3, 3, 1, 3], 4, 4))).toEqual(decodeRle(mask(['....', '.##.', '.##.', '....'])));
    expect(boxToRle([1, 1, 2, 2], 4, 4)).toEqual(polygonToRle([1, 1, 1, 3, 3, 3, 3, 1], 4, 4));
    expect(rleArea(polygonToRle([], 4, 4))).toBe(0);
    expect(() => polygonToRle([0, 0, NaN, 1, 1, 1], 4, 4)).toThrow(ArgumentError);
    expect(() => polygonToRle([0, 0, 1e300, 1, 1, 1], 4, 4)).toThrow(ArgumentError);
    expect(rleArea(polygonToRle([-3e8, -3e8, 3e8, -3e8, 3e8, 3e8, -3e8, 3e8], 4, 4))).toBe(16);
  });

  it('reads every form of a segmentation', () => {
    expect(segmentationToRle(rleToCoco(a), 9, 9)).toEqual(a);
    expect(segmentationToRle({ size: [3, 4], counts: [...a.counts] }, 9, 9)).toEqual(a);
    expect(rleArea(segmentationToRle([[1, 1, 3, 1, 3, 3, 1, 3]], 4, 4))).toBe(4);
    expect(() => segmentationToRle({ size: [3, 4], counts: [1.5] }, 9, 9)).toThrow(/number 0 is 1.5/);
    expect(() => segmentationToRle(7 as never, 9, 9)).toThrow(ArgumentError);
  });

  it('agrees with bitmaps on any pair of masks', () => {
    const pair = fc
      .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }))
      .chain(([h, w]) =>
        fc.tuple(
          fc.constant(h),
          fc.constant(w),
          fc.uint8Array({ minLength: h * w, maxLength: h * w, max: 1 }),
          fc.uint8Array({ minLength: h * w, maxLength: h * w, max: 1 }),
        ),
      );
    fc.assert(
      fc.property(pair, ([h, w, p, q]) => {
        const [x, y] = [encodeRle(p, h, w, 'row'), encodeRle(q, h, w, 'row')];
        const and = p.map((v, i) => v & q[i]!);
        const or = p.map((v, i) => v | q[i]!);
        expect(decodeRle(mergeRles([x, y]))).toEqual(or);
        expect(decodeRle(mergeRles([x, y], 'intersection'))).toEqual(and);
        const sum = (v: Uint8Array) => v.reduce((s, n) => s + n, 0);
        expect(rleIou([x], [y])[0]).toBe(sum(and) === 0 ? 0 : sum(and) / sum(or));
      }),
    );
  });

  it.skipIf(!folder)('equals the golden polygons', () => {
    for (const c of golden('polygons.json')) {
      c.polygons.forEach((p: number[], i: number) =>
        expect(rleToString(polygonToRle(p, c.size[0], c.size[1])), `${c.kind} part ${i}`).toBe(c.parts[i]),
      );
      const merged = polygonsToRle(c.polygons, c.size[0], c.size[1]);
      expect(rleToString(merged)).toBe(c.merged);
      expect(rleArea(merged)).toBe(c.area);
      expect(rleToBox(merged)).toEqual(c.bbox);
    }
  });

  it.skipIf(!folder)('equals the golden boxes', () => {
    for (const c of golden('bbox_to_rle.json')) {
      const rle = boxToRle(c.bbox, c.size[0], c.size[1]);
      expect(rleToString(rle)).toBe(c.counts);
      expect(rleArea(rle)).toBe(c.area);
      expect(rleToBox(rle)).toEqual(c.tobbox);
    }
  });

  it.skipIf(!folder)('equals the golden unions and IoUs', () => {
    const read = (r: { size: [number, number]; counts: string }) => rleFromString(r.counts, r.size);
    for (const c of golden('merge_iou.json')) {
      const dt = c.dt.map(read);
      const gt = c.gt.map(read);
      if (c.union) expect(rleToString(mergeRles([...dt, ...gt]))).toBe(c.union.counts);
      if (c.intersect) expect(rleToString(mergeRles([...dt, ...gt], 'intersection'))).toBe(c.intersect.counts);
      if (c.merge_of_one) expect(rleToString(mergeRles([dt[0]]))).toBe(c.merge_of_one.counts);
      for (const { iscrowd, iou } of c.iou) expect([...rleIou(dt, gt, iscrowd)]).toEqual(iou.flat());
    }
    for (const c of golden('noncanonical.json')) {
      const rle = { size: c.size, counts: Uint32Array.from(c.counts_uncompressed as number[]) };
      const empty = { size: c.size, counts: Uint32Array.of(c.size[0] * c.size[1]) };
      expect(rleToString(mergeRles([rle, empty]))).toBe(c.merged_with_empty_counts);
    }
    for (const c of golden('bbox_iou.json')) expect([...boxIou(c.dt.flat(), c.gt.flat(), c.iscrowd)]).toEqual(c.iou.flat());
  });
});
