import fc from '../../properties.js';
import { describe, expect, it } from 'vitest';
import type { CocoDataset } from '../../../src/data/coco/coco_types.js';
import { mergeDatasets, remapCategories, splitDataset } from '../../../src/data/dataset/divide_dataset.js';
import { Random } from '../../../src/data/random.js';
import { ArgumentError, DatasetError } from '../../../src/errors.js';

/** Images whose objects have the given classes. */
const make = (classes: number[][]): CocoDataset => {
  const data: CocoDataset = { images: [], annotations: [], categories: [1, 2, 3].map((id) => ({ id, name: `c${id}` })) };
  classes.forEach((list, i) => {
    data.images.push({ id: i + 1, file_name: `${i}.jpg`, width: 10, height: 10 });
    for (const category_id of list)
      data.annotations.push({
        id: data.annotations.length + 1,
        image_id: i + 1,
        category_id,
        bbox: [0, 0, 1, 1],
        area: 1,
        iscrowd: 0,
      });
  });
  return data;
};
const count = (d: CocoDataset, id: number) => d.annotations.filter((a) => a.category_id === id).length;

describe('splitDataset', () => {
  it('spreads rare classes by their share', () => {
    // Class 3 is in 10 of 100 images, class 2 in 30.
    const data = make(Array.from({ length: 100 }, (_, i) => [1, ...(i % 10 === 0 ? [3] : []), ...(i % 10 < 3 ? [2] : [])]));
    for (const seed of [0, 1, 2]) {
      const [train, val] = splitDataset(data, [0.8, 0.2], new Random(seed)) as [CocoDataset, CocoDataset];
      expect([train.images.length, val.images.length]).toEqual([80, 20]);
      expect([count(train, 3), count(val, 3)]).toEqual([8, 2]);
      expect([count(train, 2), count(val, 2)]).toEqual([24, 6]);
      expect(val.categories).toEqual(data.categories);
    }
    const ids = (seed: number) => splitDataset(data, [8, 2], new Random(seed))[1]!.images.map((i) => i.id);
    expect(ids(4)).toEqual(ids(4));
    expect(ids(4)).not.toEqual(ids(5));
  });

  it('puts every image and annotation in exactly one part', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }), { maxLength: 20 }),
        fc.nat(),
        (classes, seed) => {
          const data = make(classes);
          const parts = splitDataset(data, [3, 1, 1], new Random(seed));
          expect(parts.flatMap((p) => p.images.map((i) => i.id)).sort((a, b) => a - b)).toEqual(data.images.map((i) => i.id));
          expect(parts.flatMap((p) => p.annotations.map((a) => a.id)).sort((a, b) => a - b)).toEqual(
            data.annotations.map((a) => a.id),
          );
          for (const p of parts) for (const a of p.annotations) expect(p.images.some((i) => i.id === a.image_id)).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('refuses shares that are none', () => {
    expect(() => splitDataset(make([]), [1], new Random(0))).toThrow(ArgumentError);
    expect(() => splitDataset(make([]), [1, -1], new Random(0))).toThrow(ArgumentError);
  });
});

describe('mergeDatasets', () => {
  it('joins classes by name and numbers anew', () => {
    const a = make([[1], [2]]);
    const b: CocoDataset = {
      images: [{ id: 1, file_name: '0.jpg', width: 5, height: 5 }],
      categories: [
        { id: 1, name: 'c2' },
        { id: 2, name: 'new' },
      ],
      annotations: [
        { id: 1, image_id: 1, category_id: 1 },
        { id: 2, image_id: 1, category_id: 2 },
      ],
    };
    const joined = mergeDatasets([a, b], ['', 'b/']);
    expect(joined.images.map((i) => [i.id, i.file_name])).toEqual([
      [1, '0.jpg'],
      [2, '1.jpg'],
      [3, 'b/0.jpg'],
    ]);
    expect(joined.categories.map((c) => [c.id, c.name])).toEqual([
      [1, 'c1'],
      [2, 'c2'],
      [3, 'c3'],
      [4, 'new'],
    ]);
    expect(joined.annotations.map((x) => [x.id, x.image_id, x.category_id])).toEqual([
      [1, 1, 1],
      [2, 2, 2],
      [3, 3, 2],
      [4, 3, 4],
    ]);
    b.annotations[0]!.image_id = 8;
    expect(() => mergeDatasets([a, b])).toThrow(/Data set 2: annotation 1 is for image 8/);
  });
});

describe('remapCategories', () => {
  it('renames, joins and drops', () => {
    const out = remapCategories(make([[1, 2, 3]]), [
      { from: 'c1', to: 'thing' },
      { from: 'c3', to: 'thing' },
      { from: 'c2', to: null },
    ]);
    expect(out.categories).toEqual([{ id: 1, name: 'thing' }]);
    expect(out.annotations.map((a) => a.category_id)).toEqual([1, 1]);
    expect(out.images).toHaveLength(1);
    expect(
      remapCategories(
        make([[3]]),
        [
          { from: 'c3', to: 'z' },
          { from: 'c1', to: null },
        ],
        true,
      ).categories,
    ).toEqual([
      { id: 2, name: 'c2' },
      { id: 3, name: 'z' },
    ]);
    expect(() => remapCategories(make([]), [{ from: 'q', to: 'z' }])).toThrow(DatasetError);
  });
});
