import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from '../properties.js';
import { afterAll, describe, expect, it } from 'vitest';
import { readCocoDataset, readCocoResults } from '../../src/data/coco/read_coco.js';
import { checkDataset } from '../../src/data/dataset/check_dataset.js';
import { datasetStats } from '../../src/data/dataset/dataset_stats.js';
import { importLabelme } from '../../src/data/dataset/formats/labelme.js';
import { importVia } from '../../src/data/dataset/formats/via.js';
import { importVoc } from '../../src/data/dataset/formats/voc.js';
import { polygonsToRle } from '../../src/data/rle/polygon_to_rle.js';
import { checkRle, decodeRle, encodeRle, rleArea, rleFromString, rleToString } from '../../src/data/rle/rle.js';
import { segmentationToRle } from '../../src/data/rle/segmentation.js';
import { ArgumentError, DatasetError } from '../../src/errors.js';
import { CocoEvaluator } from '../../src/evaluation/coco_evaluator.js';

const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
afterAll(() => rmSync(folder, { recursive: true }));
const bytes = (text: string) => new TextEncoder().encode(text);

/** Runs, and lets only the given error through. */
const orError = <T>(kind: new (...args: never[]) => Error, work: () => T): T | undefined => {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(kind);
    return undefined;
  }
};

/** JSON with the names that the readers look for, and with names that could reach a prototype. */
const nasty = (keys: string[]) => {
  const key = fc.constantFrom(...keys, '__proto__', 'constructor', 'toString');
  const leaf = fc.oneof(
    fc.constantFrom(null, true, '', 'a.png', 1, 0, -1, 1e308, 1e-320, 2 ** 53, 4294967296),
    fc.jsonValue({ maxDepth: 1 }),
  );
  return fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('value'), { maxLength: 4 }), tie('object')),
    object: fc
      .array(fc.tuple(key, tie('value')), { maxLength: 5 })
      .map(
        (entries) =>
          `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${typeof v === 'string' && v.startsWith('{') ? v : JSON.stringify(v)}`).join(',')}}`,
      ),
  })).object as fc.Arbitrary<string>;
};

describe('run lengths', () => {
  it('any string is an error or run lengths that keep their meaning', () => {
    const text = fc.string({
      unit: fc.constantFrom(...Array.from({ length: 66 }, (_, i) => String.fromCharCode(47 + i))),
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 20 }), (s, h, w) => {
        const rle = orError(ArgumentError, () => rleFromString(s, [h, w]));
        if (!rle) return;
        checkRle(rle);
        const bitmap = decodeRle(rle);
        expect(bitmap.reduce((a, b) => a + b, 0)).toBe(rleArea(rle));
        expect(decodeRle(rleFromString(rleToString(rle), [h, w]))).toEqual(bitmap);
      }),
      { numRuns: 2000 },
    );
  });

  it('runs of any size survive the string', () => {
    const counts = fc.array(fc.oneof(fc.nat(40), fc.nat(2 ** 30)), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(counts, (list) => {
        const total = list.reduce((a, b) => a + b, 0);
        fc.pre(total <= 0xffffffff);
        const rle = { size: [1, total] as [number, number], counts: Uint32Array.from(list) };
        expect([...rleFromString(rleToString(rle), [1, total]).counts]).toEqual(list);
      }),
      { numRuns: 500 },
    );
  });

  it('any segmentation is an error or a mask of its size', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (size, counts) => {
        const rle = orError(ArgumentError, () => segmentationToRle({ size, counts } as never, 5, 5));
        if (rle) checkRle(rle);
      }),
      { numRuns: 500 },
    );
  });
});

describe('polygons', () => {
  it('any numbers are an error or a mask, at once', () => {
    const coordinate = fc.oneof(
      fc.double(),
      fc.integer({ min: -50, max: 50 }),
      fc.double({ min: -1e3, max: 1e3 }),
      fc.constantFrom(NaN, Infinity, 4e8, -4e8, 0.5),
    );
    fc.assert(
      fc.property(fc.array(fc.array(coordinate, { maxLength: 12 }), { maxLength: 3 }), (polygons) => {
        const rle = orError(ArgumentError, () => polygonsToRle(polygons, 12, 17));
        if (!rle) return;
        checkRle(rle);
        expect(rleToString(encodeRle(decodeRle(rle), 12, 17, 'row')).length).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('readers', () => {
  const coco = nasty([
    'images',
    'annotations',
    'categories',
    'id',
    'file_name',
    'height',
    'width',
    'image_id',
    'category_id',
    'bbox',
    'segmentation',
    'size',
    'counts',
    'area',
    'name',
  ]);

  it('a COCO file, whole or cut off anywhere, is an error or can be checked and described', async () => {
    await fc.assert(
      fc.asyncProperty(coco, coco, coco, fc.nat(400), async (image, annotation, category, end) => {
        const text = `{"images":[{"id":1,"file_name":"a","height":9,"width":9},${image}],"annotations":[${annotation}],"categories":[${category}]}`;
        for (const document of [text, text.slice(0, end)]) {
          try {
            const data = await readCocoDataset(bytes(document), { onDefect: (e) => expect(e).toBeInstanceOf(DatasetError) });
            checkDataset(data);
            datasetStats(data);
          } catch (error) {
            expect(error, document).toBeInstanceOf(DatasetError);
          }
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('results are an error or can be evaluated', async () => {
    const result = nasty(['image_id', 'category_id', 'score', 'bbox', 'segmentation', 'keypoints', 'size', 'counts']);
    const truth = {
      images: [{ id: 1, file_name: 'a', height: 9, width: 9 }],
      categories: [{ id: 1, name: 'x' }],
      annotations: [
        {
          id: 1,
          image_id: 1,
          category_id: 1,
          bbox: [0, 0, 4, 4],
          area: 16,
          segmentation: [[0, 0, 4, 0, 4, 4]],
          keypoints: new Array<number>(51).fill(1),
        },
      ],
    };
    const fixed = (rest: string) => `{"image_id":1,"category_id":1,"score":0.5${rest === '{}' ? '' : `,${rest.slice(1, -1)}`}}`;
    await fc.assert(
      fc.asyncProperty(result, fc.boolean(), async (text, complete) => {
        try {
          const evaluator = new CocoEvaluator(truth);
          evaluator.add(await readCocoResults(bytes(`[${complete ? fixed(text) : text}]`)));
          evaluator.evaluate();
        } catch (error) {
          expect(error, text).toBeInstanceOf(DatasetError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('VIA, labelme and VOC files are an error or a data set', async () => {
    const via = nasty([
      'filename',
      'regions',
      'shape_attributes',
      'region_attributes',
      'name',
      'all_points_x',
      '_via_img_metadata',
    ]);
    const labelme = nasty([
      'imagePath',
      'imageWidth',
      'imageHeight',
      'shapes',
      'label',
      'points',
      'shape_type',
      'mask',
      'group_id',
    ]);
    const xml = fc.array(
      fc.constantFrom(
        '<annotation>',
        '</annotation>',
        '<object>',
        '</object>',
        '<size>',
        '<width>5</width>',
        '&lol;',
        '<!DOCTYPE x>',
        'x',
        '<a b="',
      ),
      { maxLength: 9 },
    );
    mkdirSync(join(folder, 'labelme'), { recursive: true });
    mkdirSync(join(folder, 'voc'), { recursive: true });
    await fc.assert(
      fc.asyncProperty(via, labelme, xml, async (v, l, x) => {
        writeFileSync(join(folder, 'via.json'), v);
        writeFileSync(join(folder, 'labelme/a.json'), l);
        writeFileSync(join(folder, 'voc/a.xml'), x.join(''));
        for (const work of [
          () => importVia(join(folder, 'via.json'), folder),
          () => importLabelme(join(folder, 'labelme')),
          () => importVoc(join(folder, 'voc')),
        ])
          await work().catch((error: unknown) => expect(error, `${v}\n${l}\n${x.join('')}`).toBeInstanceOf(DatasetError));
      }),
      { numRuns: 100 },
    );
  });
});
