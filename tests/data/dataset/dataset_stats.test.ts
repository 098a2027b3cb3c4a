import { describe, expect, it } from 'vitest';
import type { CocoDataset } from '../../../src/data/coco/coco_types.js';
import { anchorCoverage, suggestAnchors } from '../../../src/data/dataset/anchor_advice.js';
import { datasetStats, histogram, quantile } from '../../../src/data/dataset/dataset_stats.js';

const boxes = (sides: [number, number][], image = 400): CocoDataset => ({
  images: [
    { id: 1, file_name: 'a', width: image, height: image },
    { id: 2, file_name: 'b', width: image, height: image },
  ],
  categories: [
    { id: 5, name: 'x' },
    { id: 6, name: 'y' },
  ],
  annotations: sides.map(([w, h], i) => ({
    id: i + 1,
    image_id: 1,
    category_id: 5,
    bbox: [0, 0, w, h],
    area: w * h,
    iscrowd: 0,
  })),
});

describe('datasetStats', () => {
  it('counts by hand', () => {
    const data = boxes([
      [20, 20],
      [50, 50],
      [100, 200],
    ]);
    data.annotations.push({ id: 9, image_id: 2, category_id: 6, bbox: [0, 0, 9, 9], iscrowd: 1 });
    const s = datasetStats(data);
    expect([s.images, s.objects, s.crowds, s.imagesWithoutObjects]).toEqual([2, 3, 1, 1]);
    expect(s.classes).toEqual([
      { id: 5, name: 'x', objects: 3, images: 1 },
      { id: 6, name: 'y', objects: 0, images: 0 },
    ]);
    expect([s.small, s.medium, s.large]).toEqual([1, 1, 1]);
    expect(s.objectsPerImage.counts).toEqual([1, 0, 1, 0, 0, 0, 0, 0]);
    // 400 px images are enlarged to 800: sizes double.
    expect(s.sizes.counts).toEqual([0, 0, 1, 1, 0, 0, 1, 0, 0]);
    expect(s.inputSizes.counts).toEqual([0, 0, 0, 1, 0, 1, 0, 1, 0]);
    expect(s.aspectRatios.counts).toEqual([0, 0, 0, 0, 0, 2, 0, 1, 0, 0]);
    expect(s.imageSizes).toEqual({ width: [400, 400, 400], height: [400, 400, 400] });
    // In the input: 40 (of 32: IoU 0.64), 100 (of 128: 0.61; of 64: 0.41), 200 x 400 (of 256 at ratio 2: 181 x 362: 0.82).
    expect(s.anchors.at50).toBe(1);
    expect(s.anchors.at70).toBeCloseTo(1 / 3, 12);
    expect(s.anchors.mean).toBeCloseTo((0.64 + (100 / 128) ** 2 + 256 ** 2 / 80000) / 3, 12);
  });

  it('advises smaller anchors for small objects, and says why', () => {
    const data = boxes(
      Array.from({ length: 60 }, (_, i) => [5 + (i % 10), 5 + (i % 10)] as [number, number]),
      800,
    );
    const s = datasetStats(data);
    expect(s.anchors.at50).toBe(0);
    expect(s.suggestedAnchors.at50).toBeGreaterThan(0.9);
    expect(s.advice.join(' ')).toMatch(/MODEL.ANCHOR_GENERATOR.SIZES=\[\[6\], \[7\], \[8\], \[10\], \[13\]\]/);
    expect(s.advice.join(' ')).toMatch(/INPUT.MIN_SIZE_TEST=1600/);
    expect(s.advice.join(' ')).toMatch(/1 images have no objects/);
  });

  it('keeps anchors that fit', () => {
    const found = Array.from({ length: 50 }, (_, i) => ({ width: 32 * 2 ** (i % 5), height: 32 * 2 ** (i % 5) }));
    const now = anchorCoverage(found, [32, 64, 128, 256, 512], [0.5, 1, 2]);
    expect([now.at50, now.at70, now.mean]).toEqual([1, 1, 1]);
    expect(suggestAnchors(found, now)).toBe(now);
  });

  it('survives a data set without anything', () => {
    const s = datasetStats({ images: [], annotations: [], categories: [] });
    expect(s.advice).toEqual(['There are no objects to learn from.']);
    expect(s.anchors.at50).toBe(0);
  });

  it('bins and ranks', () => {
    expect(histogram([-1, 0, 1, 2.5, 9], [0, 1, 2])).toEqual({ edges: [0, 1, 2], counts: [2, 1, 2] });
    expect([0, 0.5, 0.75, 1].map((q) => quantile([4, 1, 3, 2], q))).toEqual([1, 2, 3, 4]);
    expect(quantile([], 0.5)).toBeNaN();
  });
});
