import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from '../../properties.js';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import type { CocoAnnotation, CocoDataset } from '../../../src/data/coco/coco_types.js';
import { checkDataset } from '../../../src/data/dataset/check_dataset.js';
import { pictureFacts } from '../../../src/data/dataset/picture_facts.js';

const folder = mkdtempSync(join(tmpdir(), 'check-'));
afterAll(() => rmSync(folder, { recursive: true }));

const good: CocoAnnotation = {
  id: 1,
  image_id: 1,
  category_id: 1,
  bbox: [10, 10, 20, 10],
  area: 200,
  iscrowd: 0,
  segmentation: [[10, 10, 30, 10, 30, 20, 10, 20]],
};
const dataset = (...annotations: Partial<CocoAnnotation>[]): CocoDataset => ({
  images: [{ id: 1, file_name: 'a.png', width: 100, height: 50 }],
  categories: [{ id: 1, name: 'x' }],
  annotations: annotations.map((a, i) => ({ ...good, id: i + 1, ...a })),
});
const check = (...annotations: Partial<CocoAnnotation>[]) => {
  const { issues, mended } = checkDataset(dataset(...annotations));
  return { kinds: issues.map((i) => i.kind), issues, annotations: mended.annotations };
};

describe('checkDataset', () => {
  it('finds nothing in a good data set', () => {
    expect(checkDataset(dataset({}))).toEqual({ issues: [], mended: dataset({}) });
  });

  it('finds and mends bad polygons', () => {
    const { kinds, annotations, issues } = check({
      segmentation: [...(good.segmentation as number[][]), [1, 2, 3, 4], [1, 1, 2, 2, 3, 3, 4], [5, 5, 6, 6, 7, 7]],
    });
    expect(kinds).toEqual(['bad_polygon', 'bad_polygon', 'bad_polygon']);
    expect(issues.map((i) => i.message)).toEqual([
      'annotation 1: polygon 1 has 2 points, 3 are needed',
      'annotation 1: polygon 2 has 7 numbers, an odd count',
      'annotation 1: polygon 3 has no area',
    ]);
    expect(annotations[0]!.segmentation).toEqual(good.segmentation);
    // The box is still of use where no polygon is.
    expect(check({ segmentation: [[1, 2]] }).annotations).toEqual([{ ...good, segmentation: undefined }]);
    expect(check({ segmentation: [[1, 2]], bbox: [0, 0, 0, 5] }).annotations).toEqual([]);
  });

  it('cuts what leaves the image', () => {
    const polygon = check({ segmentation: [[90, 10, 120, 10, 120, 20, 90, 20]], bbox: [90, 10, 30, 10], area: 300 });
    expect(polygon.kinds).toEqual(['polygon_off_image', 'box_off_image', 'area_disagree']);
    expect(polygon.annotations[0]).toMatchObject({
      bbox: [90, 10, 10, 10],
      area: 100,
      segmentation: [[90, 10, 100, 10, 100, 20, 90, 20]],
    });
    const box = check({ segmentation: undefined, bbox: [-10, 40, 30, 30], area: 900 });
    expect(box.kinds).toEqual(['box_off_image']);
    expect(box.annotations[0]!.bbox).toEqual([0, 40, 20, 10]);
    expect(check({ segmentation: undefined, bbox: [200, 0, 5, 5] }).annotations).toEqual([]);
  });

  it('takes the mask’s box where the box is wrong or missing', () => {
    for (const bbox of [[40, 10, 20, 10], [10, 10, 0, 10], undefined]) {
      const { annotations } = check({ bbox: bbox as number[] });
      expect(annotations[0]!.bbox).toEqual([10, 10, 20, 10]);
    }
    expect(check({ bbox: [40, 10, 20, 10] }).kinds).toEqual(['box_mask_disagree']);
    // Three pixels and 5 % are within what tools round.
    expect(check({ bbox: [8, 9, 25, 12] }).kinds).toEqual([]);
  });

  it('finds run lengths of another size or sum', () => {
    const rle = (size: [number, number], counts: number[]) => ({ size, counts });
    expect(check({ segmentation: rle([5, 5], [25]) }).issues[0]!.message).toContain('its mask is 5 x 5, its image 100 x 50');
    expect(check({ segmentation: rle([50, 100], [1, 2]) }).kinds).toEqual(['bad_rle']);
    expect(check({ segmentation: rle([50, 100], [5000]) }).issues[0]!.message).toContain('covers no pixel');
    // Columns 10 to 29, rows 10 to 19: the run lengths of the good polygon.
    const counts = [510, ...Array.from({ length: 19 }, () => [10, 40]).flat(), 10, 3530];
    expect(check({ segmentation: rle([50, 100], counts) }).kinds).toEqual([]);
  });

  it('finds ids that are taken, and references to nothing', () => {
    const twice = check({}, { id: 1 }, { id: 7 });
    expect(twice.kinds).toEqual(['duplicate_annotation_id']);
    expect(twice.annotations.map((a) => a.id)).toEqual([1, 8, 7]);
    expect(check({}, { image_id: 9 }, { category_id: 9 }).kinds).toEqual(['orphan_image', 'orphan_category']);
    const data = dataset({});
    data.images.push({ ...data.images[0]!, file_name: 'b.png' }, { id: 2, file_name: 'c.png', width: 5, height: 5 });
    data.categories.push({ id: 1, name: 'y' }, { id: 2, name: 'z' });
    const { issues, mended } = checkDataset(data);
    expect(issues.map((i) => [i.kind, i.severity])).toEqual([
      ['duplicate_image_id', 'error'],
      ['duplicate_category_id', 'error'],
      ['unused_category', 'warning'],
      ['empty_image', 'warning'],
    ]);
    expect([mended.images.length, mended.categories.length]).toEqual([2, 2]);
  });

  it('finds areas that are missing or wrong', () => {
    const missing = check({ area: undefined });
    expect(missing.kinds).toEqual(['missing_area']);
    expect(missing.annotations[0]!.area).toBe(200);
    expect(check({ area: 100 }).kinds).toEqual(['area_disagree']);
  });

  it('opens pictures', async () => {
    const png = await sharp({ create: { width: 80, height: 50, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    writeFileSync(join(folder, 'small.png'), png);
    writeFileSync(join(folder, 'cut.png'), png.subarray(0, png.length - 30));
    const data = dataset({}, { image_id: 2 }, { image_id: 3 });
    data.images = ['small.png', 'cut.png', 'gone.png'].map((file_name, i) => ({ id: i + 1, file_name, width: 100, height: 50 }));
    let done = 0;
    const { issues, mended } = checkDataset(data, await pictureFacts(data.images, folder, (n) => (done = n)));
    expect(done).toBe(3);
    expect(issues.map((i) => i.kind)).toEqual(['size_mismatch', 'unreadable_image', 'missing_image']);
    expect(mended.images).toEqual([{ id: 1, file_name: 'small.png', width: 80, height: 50 }]);
    expect(mended.annotations.map((a) => a.image_id)).toEqual([1]);
  });

  it('leaves no error in what it mends, whatever the numbers', () => {
    const number = fc.oneof(fc.integer({ min: -200, max: 200 }), fc.double({ min: -1e6, max: 1e6, noNaN: true }));
    const annotation = fc.record(
      {
        image_id: fc.integer({ min: 1, max: 2 }),
        category_id: fc.integer({ min: 1, max: 2 }),
        id: fc.integer({ min: 1, max: 3 }),
        bbox: fc.array(number, { minLength: 4, maxLength: 4 }),
        area: number,
        segmentation: fc.oneof(
          fc.array(fc.array(number, { maxLength: 9 }), { maxLength: 3 }),
          fc.record({
            size: fc.constantFrom([50, 100] as [number, number], [5, 5] as [number, number]),
            counts: fc.array(fc.nat(3000), { maxLength: 4 }),
          }),
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(annotation, { maxLength: 4 }), (list) => {
        const { mended } = checkDataset(dataset(...(list as Partial<CocoAnnotation>[])));
        expect(checkDataset(mended).issues.filter((i) => i.severity === 'error')).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
