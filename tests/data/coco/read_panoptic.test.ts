import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from '../../properties.js';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodePanopticPng, readPanopticPng } from '../../../src/data/coco/panoptic_png.js';
import { readPanopticDataset } from '../../../src/data/coco/read_panoptic.js';
import { DatasetError } from '../../../src/errors.js';
import { evaluatePanopticFiles } from '../../../src/evaluation/panoptic_files.js';
import { goldenFolder } from '../../golden_folder.js';

const folder = goldenFolder();
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const annotation = (segments: unknown, extra: object = {}) =>
  bytes({ annotations: [{ image_id: 5, file_name: 'a.png', segments_info: segments, ...extra }] });

describe('readPanopticDataset', () => {
  it('keeps what it reads', async () => {
    const segments = [{ id: 3, category_id: 1, area: 4, iscrowd: 0 }];
    expect((await readPanopticDataset(annotation(segments))).annotations).toEqual([
      { image_id: 5, file_name: 'a.png', segments_info: segments },
    ]);
  });

  it('names image and reason', async () => {
    const read = (segments: unknown) => readPanopticDataset(annotation(segments), { name: 'p.json' });
    await expect(read([{ id: 0, category_id: 1 }])).rejects.toThrow(
      'p.json: annotations[0] (image 5): segments_info[0]: id must be an integer from 1',
    );
    await expect(read([{ id: 2 ** 24, category_id: 1 }])).rejects.toThrow(DatasetError);
    await expect(read([1, 1].map((id) => ({ id, category_id: 1 })))).rejects.toThrow(/id 1 occurs twice/);
    await expect(read('x')).rejects.toThrow(/segments_info must be a list/);
    await expect(readPanopticDataset(bytes({ images: [] }))).rejects.toThrow(/has no "annotations"/);
    await expect(readPanopticDataset(bytes({ annotations: [], categories: [{ id: 1, name: 'x' }] }))).rejects.toThrow(/isthing/);
  });

  it('reads any types to a data set or a DatasetError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (segments, other) => {
        await readPanopticDataset(annotation(segments)).catch((e: unknown) => expect(e).toBeInstanceOf(DatasetError));
        await readPanopticDataset(bytes({ annotations: [other] })).catch((e: unknown) => expect(e).toBeInstanceOf(DatasetError));
      }),
      { numRuns: 100 },
    );
  });
});

describe('panoptic PNG', () => {
  it('comes back as it was, and other pictures are refused', async () => {
    const map = { ids: Uint32Array.of(0, 1, 256, 70000, 2 ** 24 - 1, 5), height: 2, width: 3 };
    expect(await readPanopticPng(await encodePanopticPng(map))).toEqual(map);
    const gray = await sharp(Buffer.from([1, 2]), { raw: { width: 2, height: 1, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    await expect(readPanopticPng(gray)).rejects.toThrow(/1 channels of 8 bits/);
    await expect(readPanopticPng(Uint8Array.of(1, 2, 3))).rejects.toThrow(DatasetError);
    await expect(readPanopticPng('nowhere.png')).rejects.toThrow(/nowhere.png cannot be read/);
  });
});

describe.skipIf(!folder)('evaluatePanopticFiles', () => {
  it('equals the golden quality', async () => {
    const at = (name: string) => join(folder!, 'data/panoptic', name);
    const expected = JSON.parse(readFileSync(at('expected.json'), 'utf8')) as { dataset: { detectron2: Record<string, number> } };
    const ours = await evaluatePanopticFiles(
      { json: at('gt.json'), folder: at('gt') },
      { json: at('pred.json'), folder: at('pred') },
    );
    for (const [name, value] of Object.entries(expected.dataset.detectron2))
      expect(Math.abs(ours.percentages[name]! - value), name).toBeLessThanOrEqual(1e-10);
  });
});
