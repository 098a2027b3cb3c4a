import fc from '../properties.js';
import { describe, expect, it } from 'vitest';
import { datasetRecords, readCocoDataset } from '../../src/data/coco/index.js';
import { DatasetMapper } from '../../src/data/dataset_mapper.js';
import { Random } from '../../src/data/random.js';
import { rleArea, rleFromString } from '../../src/data/rle/index.js';
import {
  CropTransform,
  FixedSizeCrop,
  RandomCrop,
  RandomExtent,
  RandomFlip,
  RandomRotation,
  ResizeShortestEdge,
} from '../../src/data/transforms/index.js';
import { polygonArea } from '../../src/data/polygon_area.js';
import { MaskRcnnError } from '../../src/errors.js';

const WIDTH = 24;
const HEIGHT = 18;
const mapper = new DatasetMapper({
  augmentations: [
    new RandomCrop('relative_range', [0.5, 0.5]),
    new ResizeShortestEdge({ shortEdge: [10, 30], maxSize: 40, sampling: 'range' }),
    new RandomFlip(),
    new RandomRotation({ angle: [-30, 30] }),
    new RandomExtent([0.5, 1.5], [0.3, 0.3]),
    new FixedSizeCrop({ height: 20, width: 25 }),
  ],
  masks: 'polygon',
  boxesFromMasks: true,
});
const image = { data: new Uint8Array(WIDTH * HEIGHT * 3).fill(7), height: HEIGHT, width: WIDTH, channels: 3 };

/** Reads a document and maps its pictures; every failure must be one of ours. */
async function digest(json: string): Promise<'error' | number> {
  try {
    const dataset = await readCocoDataset(new TextEncoder().encode(json), { name: 'fuzz.json' });
    const { records } = datasetRecords(dataset, '', { name: 'fuzz.json' });
    let objects = 0;
    for (const record of records) {
      const sample = mapper.map(image, record, new Random(1));
      const { boxes, classes, masks } = sample.groundTruth;
      expect([boxes.length, masks!.length]).toEqual([classes.length * 4, classes.length]);
      expect([sample.height, sample.width, sample.data.length]).toEqual([20, 25, 1500]);
      for (const v of boxes) expect(Number.isFinite(v)).toBe(true);
      for (const mask of masks!) if (mask.kind === 'bitmap') expect(mask.bitmap.length).toBe(500);
      objects += classes.length;
    }
    return objects;
  } catch (error) {
    if (!(error instanceof MaskRcnnError)) throw error;
    expect(error.message).toMatch(/fuzz\.json|\.png/);
    return 'error';
  }
}

const document = (annotations: unknown): string =>
  JSON.stringify({
    images: [{ id: 1, file_name: 'a.png', width: WIDTH, height: HEIGHT }],
    categories: [{ id: 5, name: 'thing' }],
    annotations,
  });
const good = {
  id: 1,
  image_id: 1,
  category_id: 5,
  bbox: [2, 3, 15, 12],
  iscrowd: 0,
  segmentation: [[2, 3, 17, 3, 17, 15, 2, 15]] as unknown,
};

describe('the way from annotation files to samples', () => {
  it('takes a good document', async () => {
    expect(await digest(document([good]))).toBe(1);
  });

  it('survives any values in any place', async () => {
    const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(1e308, -1e308, 1e-308, 2 ** 53, -0, 4e8, 5e8));
    const value = fc.oneof(number, fc.string(), fc.jsonValue(), fc.constantFrom('__proto__', 'constructor', null, true, [], {}));
    const box = fc.array(number, { maxLength: 5 });
    const rle = fc.record({
      size: fc.oneof(fc.constant([HEIGHT, WIDTH]), box),
      counts: fc.oneof(fc.string(), box, fc.array(fc.nat(500), { maxLength: 6 })),
    });
    const outline = fc.oneof(fc.array(fc.array(number, { maxLength: 10 }), { maxLength: 3 }), rle, value);
    const annotation = fc.record(
      {
        id: fc.oneof(fc.nat(3), value),
        image_id: fc.oneof(fc.constant(1), value),
        category_id: fc.oneof(fc.constant(5), value),
        bbox: fc.oneof(box, fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.nat(20)), value),
        segmentation: outline,
        iscrowd: fc.oneof(fc.constantFrom(0, 1), value),
        keypoints: fc.oneof(box, value),
        __proto__: fc.constant(null),
      },
      { requiredKeys: ['id', 'image_id', 'category_id', 'bbox'] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(annotation, { maxLength: 4 }), async (annotations) => {
        await digest(document(annotations));
      }),
      { numRuns: 400 },
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('survives one bad member of a good annotation', async () => {
    const number = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(1e300, -1e300, 4.1e8, -4.1e8));
    await fc.assert(
      fc.asyncProperty(fc.array(number, { minLength: 6, maxLength: 12 }), async (polygon) => {
        await digest(document([{ ...good, segmentation: [polygon] }]));
      }),
      { numRuns: 200 },
    );
    await fc.assert(
      fc.asyncProperty(fc.tuple(number, number, number, number), async (bbox) => {
        await digest(document([{ ...good, bbox }]));
      }),
      { numRuns: 200 },
    );
  });

  it('refuses every cut-off document', async () => {
    const text = document([
      good,
      { ...good, id: 2, segmentation: { size: [HEIGHT, WIDTH], counts: [30, 6, HEIGHT * WIDTH - 36] } },
    ]);
    for (let length = 0; length < text.length; length++) expect(await digest(text.slice(0, length))).toBe('error');
    expect(await digest(text)).not.toBe('error');
  });

  it('keeps prototypes clean', async () => {
    const text = document([good]).replace(
      '"iscrowd":0',
      '"iscrowd":0,"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}',
    );
    await digest(text);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('cutting polygons', () => {
  const point = fc.tuple(fc.integer({ min: -10, max: 40 }), fc.integer({ min: -10, max: 40 }));

  it('of triangles leaves the same area as pixels on a fine grid tell', () => {
    fc.assert(
      fc.property(point, point, point, (a, b, c) => {
        const polygon = Float64Array.from([...a, ...b, ...c]);
        const parts = new CropTransform(4, 6, 20, 15).applyPolygons([polygon]);
        const area = parts.reduce((sum, p) => sum + polygonArea(p), 0);
        expect(Math.abs(area - sampledArea(polygon, 4, 6, 24, 21))).toBeLessThan(6);
        for (const part of parts) part.forEach((v, i) => expect(v >= -1e-9 && v <= (i % 2 === 0 ? 20 : 15) + 1e-9).toBe(true));
      }),
      { numRuns: 300 },
    );
  });

  it('of any outline keeps the same points inside, by the even-odd rule', () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 3, maxLength: 9 }), (points) => {
        const polygon = Float64Array.from(points.flat());
        const parts = new CropTransform(4, 6, 20, 15).applyPolygons([polygon]);
        for (let i = 1; i < 100; i++) {
          // Irrational steps: never on an edge between whole points.
          const x = ((i * 0.6180339887) % 1) * 20;
          const y = ((i * 0.7548776662 + 0.31) % 1) * 15;
          expect(isInside(parts, x, y)).toBe(isInside([polygon], x + 4, y + 6));
        }
      }),
      { numRuns: 300 },
    );
  });
});

function isInside(parts: readonly Float64Array[], x: number, y: number): boolean {
  let inside = false;
  for (const p of parts)
    for (let i = 0, j = p.length - 2; i < p.length; j = i, i += 2)
      if (p[i + 1]! > y !== p[j + 1]! > y && x < ((p[j]! - p[i]!) * (y - p[i + 1]!)) / (p[j + 1]! - p[i + 1]!) + p[i]!)
        inside = !inside;
  return inside;
}

/** Area of a polygon inside a window, sampled four times a pixel each way. */
function sampledArea(polygon: Float64Array, x0: number, y0: number, x1: number, y1: number): number {
  let hits = 0;
  for (let y = y0 + 0.125; y < y1; y += 0.25) for (let x = x0 + 0.125; x < x1; x += 0.25) if (isInside([polygon], x, y)) hits++;
  return hits / 16;
}

describe('run lengths of samples', () => {
  it('keep their area through a flip', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60), { minLength: 1, maxLength: 9 }), (runs) => {
        const used = runs.reduce((a, b) => a + b, 0);
        fc.pre(used <= HEIGHT * WIDTH);
        const counts = [...runs, HEIGHT * WIDTH - used];
        const record = datasetRecords(
          {
            images: [{ id: 1, file_name: 'a.png', width: WIDTH, height: HEIGHT }],
            categories: [{ id: 5, name: 'thing' }],
            annotations: [{ ...good, segmentation: { size: [HEIGHT, WIDTH], counts } }],
          },
          '',
        ).records[0]!;
        const flipped = new DatasetMapper({ augmentations: [new RandomFlip('horizontal', 1)], masks: 'bitmask' }).map(
          image,
          record,
          new Random(1),
        );
        const rle = record.annotations[0]!.segmentation as { size: [number, number]; counts: string };
        const area = rleArea(rleFromString(rle.counts, rle.size));
        const masks = flipped.groundTruth.masks!;
        // An empty mask takes its object with it.
        expect(masks.length).toBe(area > 0 ? 1 : 0);
        for (const mask of masks) expect(mask.kind === 'bitmap' ? mask.bitmap.reduce((a, b) => a + b, 0) : -1).toBe(area);
      }),
      { numRuns: 100 },
    );
  });
});
