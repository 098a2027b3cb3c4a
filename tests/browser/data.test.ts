import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CocoDataset, CocoResult } from '../../src/data/coco/coco_types.js';
import { Random } from '../../src/data/random.js';
import { CocoEvaluator } from '../../src/evaluation/coco_evaluator.js';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { serveBuilt, type Site } from './site.js';
import type {} from './data_page/main.js';

/** Boxes with masks in 20 pictures, and detections near some of them. */
function generated(): { dataset: CocoDataset; results: CocoResult[] } {
  const random = new Random(8);
  const images = Array.from({ length: 20 }, (_, i) => ({ id: i + 1, file_name: `${i}.png`, width: 120, height: 90 }));
  const dataset: CocoDataset = { images, annotations: [], categories: [1, 5, 9].map((id) => ({ id, name: `class ${id}` })) };
  const results: CocoResult[] = [];
  for (const { id: image_id } of images)
    for (let k = 0; k < 6; k++) {
      const [x, y, w, h] = [random.integer(80), random.integer(60), 8 + random.integer(30), 8 + random.integer(20)];
      const polygon = (dx: number): number[][] => [[x + dx, y, x + dx + w, y, x + dx + w, y + h, x + dx, y + h]];
      const category_id = [1, 5, 9][random.integer(3)]!;
      const id = dataset.annotations.length + 1;
      dataset.annotations.push({
        id,
        image_id,
        category_id,
        bbox: [x, y, w, h],
        area: w * h,
        iscrowd: 0,
        segmentation: polygon(0),
      });
      const dx = random.integer(6);
      if (random.next() < 0.8)
        results.push({ image_id, category_id, bbox: [x + dx, y, w, h], score: random.next(), segmentation: polygon(dx) });
    }
  return { dataset, results };
}

describe.skipIf(noChromium)(`data and evaluation in Chromium${noChromium ? `: ${noChromium}` : ''}`, () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    site = await serveBuilt('tests/browser/data_page');
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  it('bundles without configuration, and without the decoder and the threads of Node', () => {
    expect(site.warnings.filter((warning) => !/"node:(fs\/promises|path|crypto)" has been externalized/.test(warning))).toEqual(
      [],
    );
    expect(site.assets.some((name) => /sharp|worker/.test(name))).toBe(false);
  });

  it('reads COCO files, evaluates to the same numbers as in Node, and handles masks', async () => {
    const { page, problems } = await openPage(browser, site.url);
    const { dataset, results } = generated();
    const found = await page.evaluate(
      async ([dataset, results]) => {
        const { data, evaluation } = window.dataApi;
        const read = await data.readCocoDataset(new TextEncoder().encode(JSON.stringify(dataset)));
        const evaluator = new evaluation.CocoEvaluator(read);
        evaluator.add(results);
        const rle = data.polygonToRle([2, 1, 6, 1, 6, 4, 2, 4], 8, 10);
        const bad = await data.readCocoDataset(new TextEncoder().encode('{"images": 3}')).catch((error: Error) => error.message);
        const image = { data: Uint8Array.of(10, 20, 30, 40, 50, 60), height: 1, width: 2, channels: 3 };
        return {
          results: evaluator.evaluate().results,
          area: data.rleArea(rle),
          text: data.rleToString(rle),
          bad,
          flipped: [...new data.HFlipTransform(2).applyImage(image).data],
        };
      },
      [dataset, results] as const,
    );
    const here = new CocoEvaluator(dataset);
    here.add(results);
    expect(found.results).toEqual(here.evaluate().results);
    expect(found.results.bbox!.AP).toBeGreaterThan(20);
    expect(found.area).toBe(12);
    expect(found.bad).toContain('"images" must be a list');
    expect(found.flipped).toEqual([40, 50, 60, 10, 20, 30]);
    expect(problems).toEqual([]);
    await page.close();
  });
});
