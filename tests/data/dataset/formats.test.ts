import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encode } from 'fast-png';
import fc from '../../properties.js';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CocoDataset } from '../../../src/data/coco/coco_types.js';
import { exportLabelme, importLabelme } from '../../../src/data/dataset/formats/labelme.js';
import { importMasks } from '../../../src/data/dataset/formats/mask_pictures.js';
import { importVia } from '../../../src/data/dataset/formats/via.js';
import { importVoc } from '../../../src/data/dataset/formats/voc.js';
import { exportYolo, importYolo } from '../../../src/data/dataset/formats/yolo.js';
import { rleIou } from '../../../src/data/rle/rle_iou.js';
import { segmentationToRle } from '../../../src/data/rle/segmentation.js';
import { DatasetError } from '../../../src/errors.js';

const root = mkdtempSync(join(tmpdir(), 'formats-'));
const at = (name: string) => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));
const put = (name: string, content: string | Uint8Array) => {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
  return at(name);
};
const mask = (d: CocoDataset, n: number, height = 50, width = 100) =>
  segmentationToRle(d.annotations[n]!.segmentation!, height, width);

beforeAll(async () => {
  const png = await sharp({ create: { width: 100, height: 50, channels: 3, background: 'blue' } })
    .png()
    .toBuffer();
  put('images/a.png', png);
  put('images/b.png', png);
});

describe('importVia', () => {
  const region = (shape: object, attributes: object = { type: 'cat' }) => ({
    shape_attributes: shape,
    region_attributes: attributes,
  });
  const regions = [
    region({ name: 'polygon', all_points_x: [10, 30, 30, 10], all_points_y: [10, 10, 20, 20] }),
    region({ name: 'rect', x: 0, y: 0, width: 5, height: 4 }, { type: { dog: true } }),
    region({ name: 'circle', cx: 50, cy: 25, r: 10 }),
    region({ name: 'ellipse', cx: 50, cy: 25, rx: 20, ry: 10 }),
    region({ name: 'point', cx: 1, cy: 1 }),
  ];

  it('reads version 2 projects and version 1 exports', async () => {
    const two = put(
      'via2.json',
      JSON.stringify({ _via_settings: {}, _via_img_metadata: { 'a.png123': { filename: 'a.png', size: 123, regions } } }),
    );
    const one = put(
      'via1.json',
      JSON.stringify({ 'a.png123': { filename: 'a.png', regions: Object.fromEntries(regions.entries()) } }),
    );
    for (const file of [two, one]) {
      const { dataset, warnings } = await importVia(file, at('images'));
      expect(dataset.images).toEqual([{ id: 1, file_name: 'a.png', width: 100, height: 50 }]);
      expect(dataset.categories.map((c) => c.name)).toEqual(['cat', 'dog']);
      expect(dataset.annotations[0]).toEqual({
        id: 1,
        image_id: 1,
        category_id: 1,
        iscrowd: 0,
        bbox: [10, 10, 20, 10],
        area: 200,
        segmentation: [[10, 10, 30, 10, 30, 20, 10, 20]],
      });
      expect(dataset.annotations[1]).toMatchObject({ category_id: 2, bbox: [0, 0, 5, 4], area: 20 });
      expect(Math.abs(dataset.annotations[2]!.area! / (Math.PI * 100) - 1)).toBeLessThan(0.03);
      expect(Math.abs(dataset.annotations[3]!.area! / (Math.PI * 200) - 1)).toBeLessThan(0.03);
      expect(dataset.annotations).toHaveLength(4);
      expect(warnings).toEqual([expect.stringContaining('region 4: shapes of the kind "point"')]);
    }
  });

  it('asks which attribute is the class, and says what is wrong', async () => {
    const file = (regions: object[]) => put('via.json', JSON.stringify({ x: { filename: 'a.png', regions } }));
    const two = region(regions[0]!.shape_attributes, { colour: 'red', breed: 'tabby' });
    await expect(importVia(file([two]), at('images'))).rejects.toThrow(
      /region 0 has the attributes colour, breed.*--class-attribute/,
    );
    const chosen = await importVia(file([two]), at('images'), { classAttribute: 'breed' });
    expect(chosen.dataset.categories[0]!.name).toBe('tabby');
    const uneven = region({ name: 'polygon', all_points_x: [1, 2, 3], all_points_y: [1, 2] });
    await expect(importVia(file([uneven]), at('images'))).rejects.toThrow(/3 x and 2 y/);
    await expect(importVia(put('v.json', '{"x":{}}'), at('images'))).rejects.toThrow(/has no filename/);
    await expect(importVia(put('v.json', '{'), at('images'))).rejects.toThrow(/not valid JSON/);
    await expect(importVia(put('v.json', '{"x":{"filename":"gone.png"}}'), at('images'))).rejects.toThrow(
      /gone.png cannot be read/,
    );
  });
});

describe('importLabelme', () => {
  const document = (shapes: object[]) => JSON.stringify({ imagePath: 'a.png', imageWidth: 100, imageHeight: 50, shapes });

  it('joins groups, and reads rectangles, circles and masks', async () => {
    const png = encode({ width: 3, height: 2, channels: 1, depth: 8, data: Uint8Array.of(255, 255, 0, 255, 255, 0) });
    put(
      'labelme/a.json',
      document([
        {
          label: 'car',
          shape_type: 'polygon',
          group_id: 1,
          points: [
            [0, 0],
            [10, 0],
            [10, 10],
            [0, 10],
          ],
        },
        {
          label: 'car',
          shape_type: 'polygon',
          group_id: 1,
          points: [
            [20, 0],
            [30, 0],
            [30, 10],
            [20, 10],
          ],
        },
        {
          label: 'bus',
          shape_type: 'rectangle',
          group_id: null,
          points: [
            [50, 40],
            [40, 20],
          ],
        },
        {
          label: 'car',
          shape_type: 'circle',
          group_id: null,
          points: [
            [70, 25],
            [70, 35],
          ],
        },
        {
          label: 'bus',
          shape_type: 'mask',
          group_id: null,
          points: [
            [5, 30],
            [7, 31],
          ],
          mask: Buffer.from(png).toString('base64'),
        },
        {
          label: 'bus',
          shape_type: 'line',
          group_id: null,
          points: [
            [5, 30],
            [7, 31],
          ],
        },
      ]),
    );
    const { dataset, warnings } = await importLabelme(at('labelme'));
    expect(dataset.images).toEqual([{ id: 1, file_name: 'a.png', width: 100, height: 50 }]);
    const byArea = dataset.annotations.map((a) => [dataset.categories[a.category_id - 1]!.name, a.bbox, a.area]);
    expect(byArea[0]).toEqual(['bus', [5, 30, 2, 2], 4]);
    expect(byArea[1]).toEqual(['car', [0, 0, 30, 10], 200]);
    expect(byArea[2]).toEqual(['bus', [40, 20, 10, 20], 200]);
    expect(byArea[3]![0]).toBe('car');
    expect(dataset.annotations).toHaveLength(4);
    expect(warnings).toEqual([expect.stringContaining('"line"')]);
  });

  it('comes back from an export', async () => {
    const ring = { size: [50, 100] as [number, number], counts: [0, 150, 1, 49, 1, 49, 4750] };
    const data: CocoDataset = {
      images: [{ id: 4, file_name: 'sub/a.png', width: 100, height: 50 }],
      categories: [{ id: 2, name: 'x' }],
      annotations: [
        {
          id: 1,
          image_id: 4,
          category_id: 2,
          bbox: [0, 0, 30, 10],
          area: 200,
          segmentation: [
            [0, 0, 10, 0, 10, 10, 0, 10],
            [20, 0, 30, 0, 30, 10, 20, 10],
          ],
        },
        { id: 2, image_id: 4, category_id: 2, bbox: [0, 0, 5, 50], area: 248, segmentation: ring },
        { id: 3, image_id: 4, category_id: 2, bbox: [50, 5, 10, 20], area: 200 },
        { id: 4, image_id: 4, category_id: 2, bbox: [0, 0, 9, 9], area: 81, iscrowd: 1 },
      ],
    };
    const warnings = await exportLabelme(data, at('exported'));
    expect(warnings).toEqual([expect.stringContaining('annotation 4 is a crowd')]);
    const back = (await importLabelme(at('exported'))).dataset;
    expect(back.images[0]).toMatchObject({ file_name: 'sub/a.png', width: 100, height: 50 });
    expect(back.annotations.map((a) => a.bbox)).toEqual([[0, 0, 30, 10], expect.anything(), [50, 5, 10, 20]]);
    expect(rleIou([mask(back, 0)], [mask(data, 0)])[0]).toBe(1);
    expect(rleIou([mask(back, 1)], [mask(data, 1)])[0]).toBe(1);
  });
});

describe('importVoc', () => {
  it('counts pixels from 0', async () => {
    put(
      'voc/a.xml',
      `<annotation><filename>a.png</filename><size><width>100</width><height>50</height><depth>3</depth></size>
      <object><name>dog &amp; cat</name><pose>Left</pose><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>11</ymin><xmax>10</xmax><ymax>30</ymax></bndbox></object>
      <object><name>flat</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>4</xmax><ymax>9</ymax></bndbox></object></annotation>`,
    );
    put('voc/b.xml', '<annotation><filename>b.png</filename><size><width>100</width><height>50</height></size></annotation>');
    const { dataset, warnings } = await importVoc(at('voc'));
    expect(dataset.images.map((i) => i.file_name)).toEqual(['a.png', 'b.png']);
    expect(dataset.annotations).toEqual([
      { id: 1, image_id: 1, category_id: 1, iscrowd: 0, bbox: [0, 10, 10, 20], area: 200, difficult: 1, pose: 'Left' },
    ]);
    expect(dataset.categories).toEqual([{ id: 1, name: 'dog & cat' }]);
    expect(warnings).toEqual([expect.stringContaining('"flat"')]);
    put('voc2/a.xml', '<annotation><filename>a.png');
    await expect(importVoc(at('voc2'))).rejects.toThrow(DatasetError);
  });
});

describe('importYolo', () => {
  it('reads boxes and polygons, and comes back from an export', async () => {
    put('yolo/labels/a.txt', '1 0.5 0.5 0.2 0.4\n0 0.1 0.2 0.3 0.2 0.3 0.4 0.1 0.4\n\n');
    put('yolo/data.yaml', 'names:\n  0: cat\n  1: dog\n');
    const { dataset } = await importYolo(at('yolo/labels'), at('images'), at('yolo/data.yaml'));
    expect(dataset.images.map((i) => i.file_name)).toEqual(['a.png', 'b.png']);
    expect(dataset.categories.map((c) => c.name)).toEqual(['cat', 'dog']);
    expect(dataset.annotations[0]).toMatchObject({ category_id: 2, bbox: [40, 15, 20, 20], area: 400 });
    expect(dataset.annotations[1]).toMatchObject({ category_id: 1, bbox: [10, 10, 20, 10], area: 200 });
    expect(await exportYolo(dataset, at('yolo_out'), true)).toEqual([]);
    expect(readFileSync(at('yolo_out/labels/a.txt'), 'utf8')).toBe('1 0.5 0.5 0.2 0.4\n0 0.1 0.2 0.3 0.2 0.3 0.4 0.1 0.4\n');
    expect(readFileSync(at('yolo_out/labels/b.txt'), 'utf8')).toBe('');
    const back = await importYolo(at('yolo_out/labels'), at('images'), at('yolo_out/data.yaml'));
    expect(back.dataset).toEqual(dataset);
    await exportYolo(dataset, at('yolo_out'), false);
    expect(readFileSync(at('yolo_out/labels/a.txt'), 'utf8')).toBe('1 0.5 0.5 0.2 0.4\n0 0.2 0.3 0.2 0.2\n');
  });

  it('names file and line', async () => {
    put('yolo_bad/a.txt', '0 0.5 0.5\n');
    await expect(importYolo(at('yolo_bad'), at('images'))).rejects.toThrow(/a.txt:1: a line has a class and four numbers/);
    put('yolo_bad/a.txt', '\n0 0.5 x 1 1\n');
    await expect(importYolo(at('yolo_bad'), at('images'))).rejects.toThrow(/a.txt:2 must be a number, it is "x"/);
    put('yolo_bad/a.txt', '7 0.5 0.5 1 1\n');
    await expect(importYolo(at('yolo_bad'), at('images'), put('names.txt', 'cat\n'))).rejects.toThrow(/class 7 has no name/);
  });

  it('reads any text to a data set or a DatasetError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: fc.constantFrom('0', '1', '.', ' ', '\n', '-', 'e', 'x', '9') }), async (text) => {
        put('yolo_any/a.txt', text);
        await importYolo(at('yolo_any'), at('images')).catch((error: unknown) => expect(error).toBeInstanceOf(DatasetError));
      }),
      { numRuns: 50 },
    );
  });
});

describe('importMasks', () => {
  const png = (values: (x: number, y: number) => number) =>
    encode({
      width: 100,
      height: 50,
      channels: 1,
      depth: 8,
      data: Uint8Array.from({ length: 5000 }, (_, i) => values(i % 100, Math.floor(i / 100))),
    });

  it('takes one object from each file of a class folder', async () => {
    put(
      'masks/cat/a_1.png',
      png((x, y) => (x < 10 && y < 10 ? 255 : 0)),
    );
    put(
      'masks/cat/a_2.png',
      png((x, y) => (x >= 20 && x < 30 && y < 5 ? 1 : 0)),
    );
    put(
      'masks/dog/b.png',
      png((x) => (x === 99 ? 9 : 0)),
    );
    put(
      'masks/dog/other.png',
      png(() => 1),
    );
    const { dataset, warnings } = await importMasks(at('masks'), at('images'));
    expect(dataset.annotations.map((a) => [a.image_id, a.category_id, a.bbox, a.area])).toEqual([
      [1, 1, [0, 0, 10, 10], 100],
      [1, 1, [20, 0, 10, 5], 50],
      [2, 2, [99, 0, 1, 50], 50],
    ]);
    expect(warnings).toEqual([expect.stringContaining('other.png: there is no picture')]);
  });

  it('splits label maps into connected objects', async () => {
    put(
      'maps/a.png',
      png((x, y) => (y >= 10 ? 255 : x < 10 ? 1 : x >= 50 && x < 60 ? 1 : x >= 90 ? 2 : 0)),
    );
    const { dataset } = await importMasks(at('maps'), at('images'), ['road', 'sky']);
    expect(dataset.categories.map((c) => c.name)).toEqual(['road', 'sky']);
    expect(dataset.annotations.map((a) => [a.category_id, a.bbox, a.area])).toEqual([
      [1, [0, 0, 10, 10], 100],
      [1, [50, 0, 10, 10], 100],
      [2, [90, 0, 10, 10], 100],
    ]);
    await expect(importMasks(at('maps'), at('images'), ['road'])).rejects.toThrow(/has the value 2, but there are 1 classes/);
    await expect(importMasks(at('images/none'), at('images'))).rejects.toThrow(DatasetError);
  });
});
