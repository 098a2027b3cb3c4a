import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePanopticPng } from '../../src/data/coco/panoptic_png.js';
import { categoriesOfClasses } from '../../src/engine/predict_dataset.js';
import { PixelEvaluator, pixelPercentages } from '../../src/evaluation/pixel_evaluator.js';
import type { PixelResults } from '../../src/structures/detected_instances.js';

// One picture of 1 x 8 pixels: a cat of four pixels (segment 5), sky of three (segment 6), one void.
const folder = mkdtempSync(join(tmpdir(), 'pixels-'));
const panoptic = { json: join(folder, 'truth.json'), folder: join(folder, 'truth') };
const semantic = join(folder, 'maps');
const image = { id: 3, file_name: 'a.jpg' };
const classes = { classNames: ['cat', 'dog'], semanticClassNames: ['things', 'sky', 'grass'] };

beforeAll(async () => {
  mkdirSync(panoptic.folder);
  mkdirSync(semantic);
  const categories = [
    { id: 20, name: 'cat', isthing: 1 },
    { id: 50, name: 'heaven', isthing: 0 },
    { id: 40, name: 'lawn', isthing: 0 },
    { id: 30, name: 'dog', isthing: 1 },
  ];
  const segments_info = [
    { id: 5, category_id: 20, area: 4, bbox: [0, 0, 4, 1], iscrowd: 0 },
    { id: 6, category_id: 50, area: 3, bbox: [4, 0, 3, 1], iscrowd: 0 },
  ];
  const annotations = [{ image_id: 3, file_name: 'a.png', segments_info }];
  const images = [{ ...image, height: 1, width: 8 }];
  writeFileSync(panoptic.json, JSON.stringify({ images, annotations, categories }));
  const ids = Uint32Array.of(5, 5, 5, 5, 6, 6, 6, 0);
  writeFileSync(join(panoptic.folder, 'a.png'), await encodePanopticPng({ ids, height: 1, width: 8 }));
  const data = Uint8Array.of(0, 0, 0, 0, 1, 1, 2, 255);
  writeFileSync(join(semantic, 'a.png'), encode({ width: 8, height: 1, data, channels: 1, depth: 8 }));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Three of the cat's pixels, all of the sky's and the void one. */
const found: PixelResults = {
  semantic: { height: 1, width: 8, labels: Int32Array.of(0, 0, 0, 1, 1, 1, 1, 1) },
  panoptic: {
    height: 1,
    width: 8,
    ids: Int32Array.of(1, 1, 1, 2, 2, 2, 2, 2),
    segments: [
      { id: 1, isThing: true, categoryId: 0, area: 3, score: 0.9, instanceIndex: 0 },
      { id: 2, isThing: false, categoryId: 1, area: 5 },
    ],
  },
};

describe('PixelEvaluator', () => {
  it('judges by a panoptic file: quality, and the classes of the pixels that follow from it', async () => {
    const evaluator = await PixelEvaluator.open({ panoptic }, classes, categoriesOfClasses);
    const { judged } = await evaluator.add(image, found);
    // Stuff by its order in the file, things by name.
    expect(judged!.annotation.segments_info.map(({ category_id }) => category_id)).toEqual([20, 50]);
    const { panoptic: quality, semantic: labels } = evaluator.evaluate();
    // Cat: 3 of 4. Sky: 3 common of 5 + 3 - 3 - 1 void.
    expect(quality!.perClass.get(20)!.pq).toBeCloseTo(3 / 4, 12);
    expect(quality!.perClass.get(50)!.pq).toBeCloseTo(3 / 4, 12);
    expect(quality!.percentages['PQ']).toBeCloseTo(75, 10);
    // Things: 3 of 4; sky: 3 of 4 (the void pixel is not judged).
    expect(labels!['mIoU']).toBeCloseTo(75, 10);
    expect(labels!['IoU-heaven']).toBeCloseTo(75, 10);
    const percentages = pixelPercentages(evaluator.evaluate());
    expect(percentages['panoptic_seg/PQ']).toBeCloseTo(75, 10);
    expect(percentages['sem_seg/pACC']).toBeCloseTo((100 * 6) / 7, 10);
  });

  it('takes the classes of the pixels from maps where there are some', async () => {
    const evaluator = await PixelEvaluator.open({ semantic }, classes, categoriesOfClasses);
    expect((await evaluator.add(image, found)).judged).toBeUndefined();
    const { panoptic: none, semantic: labels } = evaluator.evaluate();
    expect(none).toBeUndefined();
    // Things 3 of 4, sky 2 of 4, grass 0 of 1.
    expect(labels!['mIoU']).toBeCloseTo(100 * ((0.75 + 0.5 + 0) / 3), 10);
  });

  it('adds up what several processes counted', async () => {
    const [one, other] = [
      await PixelEvaluator.open({ panoptic }, classes, categoriesOfClasses),
      await PixelEvaluator.open({ panoptic }, classes, categoriesOfClasses),
    ];
    await one.add(image, found);
    const { counts } = await other.add(image, {
      semantic: found.semantic!,
      panoptic: { ...found.panoptic!, ids: new Int32Array(8), segments: [] },
    });
    one.count(JSON.parse(JSON.stringify(counts)) as typeof counts);
    const { panoptic: quality, semantic: labels } = one.evaluate();
    expect(quality!.perClass.get(20)).toMatchObject({ tp: 1, fp: 0, fn: 1 });
    expect(labels!['mIoU']).toBeCloseTo(75, 10);
  });

  it('says what does not fit: other stuff, a picture without truth, other sizes', async () => {
    const wrong = { ...classes, semanticClassNames: ['things', 'sky'] };
    await expect(PixelEvaluator.open({ panoptic }, wrong, categoriesOfClasses)).rejects.toThrow(
      /has 2 stuff categories; the model has 2 semantic classes.*expected 1/s,
    );
    const evaluator = await PixelEvaluator.open({ panoptic }, classes, categoriesOfClasses);
    await expect(evaluator.add({ id: 4, file_name: 'b.jpg' }, found)).rejects.toThrow(/no annotation for image 4 \(b\.jpg\)/);
    const other = { semantic: { height: 2, width: 4, labels: new Int32Array(8) } };
    await expect(evaluator.add(image, other)).rejects.toThrow(/a\.jpg: the picture is 4 x 2 pixels, its truth 8 x 1/);
  });
});
