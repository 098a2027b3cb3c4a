import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from '../../properties.js';
import { afterAll, describe, expect, it } from 'vitest';
import type { CocoDataset } from '../../../src/data/coco/coco_types.js';
import {
  classHistogram,
  datasetRecords,
  loadCocoJson,
  withKeypoints,
  withoutCrowdOnly,
} from '../../../src/data/coco/dataset_records.js';
import { readCocoDataset, readCocoResults } from '../../../src/data/coco/read_coco.js';
import type { JsonPiece } from '../../../src/data/coco/stream_json.js';
import { streamJson } from '../../../src/data/coco/stream_json.js';
import { recordsToCoco, writeCocoDataset, writeCocoResults } from '../../../src/data/coco/write_coco.js';
import { DatasetError } from '../../../src/errors.js';
import { goldenFolder } from '../../golden_folder.js';

const folder = goldenFolder();
const bytes = (text: string) => new TextEncoder().encode(text);
const temporary = mkdtempSync(join(tmpdir(), 'coco-'));
afterAll(() => rmSync(temporary, { recursive: true }));

/** Cuts a document into chunks of at most `size` bytes. */
function* cut(text: string, size: number): Iterable<Uint8Array> {
  const all = bytes(text);
  for (let i = 0; i < all.length; i += size) yield all.subarray(i, i + size);
}

async function pieces(text: string, size = 7): Promise<JsonPiece[]> {
  const out: JsonPiece[] = [];
  await streamJson(cut(text, size), 'x.json', (p) => out.push(p));
  return out;
}

const minimal = {
  images: [{ id: 1, file_name: 'a.jpg', height: 4, width: 5 }],
  categories: [{ id: 3, name: 'x' }],
  annotations: [] as object[],
};
const withAnnotation = (a: object) =>
  bytes(
    JSON.stringify({
      ...minimal,
      annotations: [{ id: 8, image_id: 1, category_id: 3, bbox: [0, 0, 2, 2], area: 4, iscrowd: 0, ...a }],
    }),
  );

describe('streamJson', () => {
  it('gives members and elements', async () => {
    const found = await pieces(' {"a": [1, {"b": "]}\\"" }, []] , "c":{"d":[2]},"e":null, "f":[]} ');
    expect(found).toEqual([
      { key: 'a', kind: 'array', value: undefined },
      { key: 'a', kind: 'element', value: 1 },
      { key: 'a', kind: 'element', value: { b: ']}"' } },
      { key: 'a', kind: 'element', value: [] },
      { key: 'c', kind: 'value', value: { d: [2] } },
      { key: 'e', kind: 'value', value: null },
      { key: 'f', kind: 'array', value: undefined },
    ]);
  });

  it.each([
    '',
    '{',
    '[1,2',
    '{"a":1',
    '[1,]',
    '[,1]',
    '{"a" 1}',
    '{"a":}',
    '{"a":1,}',
    '[1] 2',
    '{"a":tru}',
    '[1 2]',
    '{a:1}',
    '"x"',
    '[{"b":1]]',
    '[nan]',
  ])('refuses %s', async (text) => {
    for (const size of [1, 3, 100]) await expect(pieces(text, size)).rejects.toThrow(DatasetError);
  });

  it('names the byte', async () => {
    await expect(pieces('{"a":[1,x]}')).rejects.toThrow(/x.json is not valid JSON at byte 8, in "a"/);
    await expect(pieces('[' + '['.repeat(600))).rejects.toThrow(/nested deeper/);
  });

  it('agrees with JSON.parse on any document in any chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue())),
        fc.integer({ min: 1, max: 20 }),
        async (document, size) => {
          const text = JSON.stringify(document, undefined, size % 3);
          const found = await pieces(text, size);
          const parsed = JSON.parse(text) as unknown;
          if (Array.isArray(parsed)) expect(found.slice(1).map((p) => p.value)).toEqual(parsed);
          else {
            const rebuilt = new Map<string, unknown>();
            for (const p of found) {
              if (p.kind === 'array') rebuilt.set(p.key!, []);
              else if (p.kind === 'value') rebuilt.set(p.key!, p.value);
              else (rebuilt.get(p.key!) as unknown[]).push(p.value);
            }
            const byKey = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1);
            expect([...rebuilt].sort(byKey)).toEqual(Object.entries(parsed as object).sort(byKey));
          }
        },
      ),
    );
  });

  it('turns any damaged document into an error or the same pieces, never something else', async () => {
    const text = JSON.stringify({ images: [{ id: 1, file_name: 'a"b\\' }], annotations: [[1.5e3], true, 'x'], info: { a: [] } });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 1),
        fc.constantFrom('', '{', '"', ']', ',', '0', '\\', '\u0000'),
        async (at, insert) => {
          const damaged = text.slice(0, at) + insert + text.slice(at + 1);
          let parsed: unknown;
          let valid = true;
          try {
            parsed = JSON.parse(damaged);
          } catch {
            valid = false;
          }
          if (valid && typeof parsed === 'object') await expect(pieces(damaged)).resolves.toBeDefined();
          else await expect(pieces(damaged)).rejects.toThrow(DatasetError);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('readCocoDataset', () => {
  it('names file, annotation and reason', async () => {
    const read = (a: object) => readCocoDataset(withAnnotation(a), { name: 'f.json' });
    await expect(read({ bbox: [0, 0, 1] })).rejects.toThrow(
      'f.json: annotations[0] (annotation 8): bbox must be a list of four finite numbers, it is [0,0,1].',
    );
    await expect(read({ category_id: 'x' })).rejects.toThrow(/annotation 8\): category_id must be an integer, it is "x"/);
    await expect(read({ segmentation: [[0, 'a']] })).rejects.toThrow(/segmentation\[0\]/);
    await expect(read({ segmentation: { size: [1, 2] } })).rejects.toThrow(/segmentation.counts must be .* it is missing/);
    await expect(read({ keypoints: [1, 2] })).rejects.toThrow(/keypoints/);
    await expect(read({ iscrowd: 7 })).rejects.toThrow(/iscrowd must be 0 or 1/);
    await expect(read({ id: 1.5 })).rejects.toThrow(/annotations\[0\]: id/);
    await expect(readCocoDataset(bytes('{"images":[]}'), { name: 'f.json' })).rejects.toThrow(/has no "annotations"/);
    await expect(readCocoDataset(bytes('[]'), { name: 'f.json' })).rejects.toThrow(/is a list/);
    await expect(readCocoDataset(bytes('{"images":3}'), { name: 'f.json' })).rejects.toThrow(/"images" must be a list/);
    await expect(readCocoDataset(bytes('{"images":[{"id":1,"file_name":"a","height":1e999,"width":1}]}'))).rejects.toThrow(
      /height/,
    );
    await expect(readCocoDataset(join(temporary, 'missing.json'))).rejects.toThrow(/missing.json cannot be read/);
    await expect(readCocoResults(bytes('[{"image_id":1,"category_id":1}]'), { name: 'r.json' })).rejects.toThrow(
      /r.json: result 0: score/,
    );
    await expect(readCocoResults(bytes('{}x'), { name: 'r.json' })).rejects.toThrow(DatasetError);
  });

  it('keeps a member called __proto__ harmless', async () => {
    const text =
      '{"__proto__":[1],"images":[],"categories":[],"annotations":[{"id":1,"image_id":1,"category_id":1,"__proto__":{"polluted":1}}]}';
    const dataset = await readCocoDataset(bytes(text));
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(dataset.annotations[0]!['polluted']).toBeUndefined();
    expect(dataset.images).toEqual([]);
  });

  it('reads any types to a data set or a DatasetError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('images', 'annotations', 'categories'), fc.jsonValue(), async (key, value) => {
        const text = JSON.stringify({ ...minimal, [key]: [value] });
        await readCocoDataset(bytes(text)).catch((error: unknown) => expect(error).toBeInstanceOf(DatasetError));
      }),
      { numRuns: 200 },
    );
  });

  it('writes what it reads', async () => {
    const path = join(temporary, 'out.json');
    const dataset = await readCocoDataset(withAnnotation({ note: 'é' }));
    await writeCocoDataset(path, { ...dataset, info: { year: 1 }, licenses: [{ id: 1 }] });
    expect(await readCocoDataset(path)).toEqual({ ...dataset, info: { year: 1 }, licenses: [{ id: 1 }] });
    const results = [{ image_id: 1, category_id: 3, bbox: [0, 0, 1, 1], score: 0.5 }];
    await writeCocoResults(path, results);
    expect(await readCocoResults(path)).toEqual(results);
    await writeCocoResults(path, []);
    expect(await readCocoResults(path)).toEqual([]);
  });
});

describe.skipIf(!folder)('loadCocoJson against the golden numbers', () => {
  const at = (name: string) => join(folder!, 'data/coco_json', name);
  // The golden file is plain JSON; its shape is in the folder's README.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  const expected = folder ? (JSON.parse(readFileSync(at('expected.json'), 'utf8')) as any) : undefined;
  const raw = () => JSON.parse(readFileSync(at('instances.json'), 'utf8')) as CocoDataset;

  it('equals the dataset dicts', async () => {
    const loaded = await loadCocoJson(at('instances.json'), 'ROOT', { name: 'FILE' });
    expect(loaded.records).toEqual(expected.dataset_dicts);
    expect(loaded.thingClasses).toEqual(expected.thing_classes);
    expect([...loaded.categoryIds]).toEqual(expected.thing_dataset_id_to_contiguous_id);
    expect(loaded.messages).toEqual(expected.log_messages.load);
    const unmapped = await loadCocoJson(at('instances.json'), 'ROOT', { mapCategories: false });
    expect(unmapped.records).toEqual(expected.dataset_dicts_without_name);
    const { extra_annotation_keys: extraKeys, dataset_dicts } = expected.dataset_dicts_extra_keys;
    expect((await loadCocoJson(at('instances.json'), 'ROOT', { mapCategories: false, extraKeys })).records).toEqual(
      dataset_dicts,
    );
  });

  it('equals filters, histogram and the way back', async () => {
    const loaded = await loadCocoJson(at('instances.json'), 'ROOT');
    expect(withoutCrowdOnly(loaded.records).map((r) => r.image_id)).toEqual(expected.filter_only_crowd_image_ids);
    for (const [minimum, ids] of Object.entries(expected.filter_few_keypoints_image_ids))
      expect(withKeypoints(loaded.records, Number(minimum)).map((r) => r.image_id)).toEqual(ids);
    expect(classHistogram(loaded.records, 6)).toEqual(expected.class_histogram.counts);
    const ours = recordsToCoco(loaded);
    const { annotations, ...rest } = expected.convert_to_coco as CocoDataset;
    expect({ ...ours, annotations: [] }).toEqual({ ...rest, annotations: [] });
    expect(ours.annotations).toHaveLength(annotations.length);
    ours.annotations.forEach((a, i) => {
      const { area, ...others } = annotations[i]!;
      expect(Math.abs(a.area! - area!)).toBeLessThanOrEqual(1e-9);
      expect({ ...a, area: 0 }).toEqual({ ...others, area: 0 });
    });
  });

  it('refuses each broken variant', () => {
    const broken = (change: (d: CocoDataset) => void) => () => {
      const dataset = raw();
      change(dataset);
      return datasetRecords(dataset, 'ROOT', { name: 'FILE' });
    };
    expect(broken((d) => (d.annotations[0]!['ignore'] = 1))).toThrow(/annotation 616 has "ignore"/);
    expect(broken((d) => (d.annotations[1]!.id = d.annotations[0]!.id))).toThrow(/annotation id 616 occurs twice/);
    expect(broken((d) => (d.annotations[1]!.category_id = 55))).toThrow(/annotation 1659 has the category 55/);
    expect(broken((d) => (d.annotations[0]!.bbox = []))).toThrow(/annotation 616 of image 30 has an empty bbox/);
    expect(broken((d) => delete d.annotations[0]!.bbox)).not.toThrow();
  });
});
