import { describe, expect, it } from 'vitest';
import { mergeTiles } from '../../src/engine/merge_tiles.js';
import { predictTiled, tilesOf, type TilePredictor } from '../../src/engine/predict_tiled.js';
import { rleToString } from '../../src/data/rle/rle.js';
import type { Instance } from '../../src/structures/detected_instances.js';
import { InstanceMask } from '../../src/structures/masks/lazy_mask.js';
import { Prediction } from '../../src/structures/prediction.js';

const TIMES = { decode: 0, resize: 1, preprocess: 0, proposals: 0, heads: 2 };

function picture(height: number, width: number, rectangles: readonly [x0: number, y0: number, x1: number, y1: number][]) {
  const data = new Uint8Array(height * width * 3);
  rectangles.forEach(([x0, y0, x1, y1], i) => {
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) data[(y * width + x) * 3] = i + 1;
  });
  return { data, height, width };
}

/** Finds each red value as one object: its box, and a mask that fills it. */
const finder: TilePredictor = {
  async predict(input) {
    const { data, height, width } = input as { data: Uint8Array; height: number; width: number };
    const boxes = new Map<number, [number, number, number, number]>();
    for (let i = 0; i < height * width; i++) {
      const value = data[i * 3]!;
      const [x, y] = [i % width, Math.floor(i / width)];
      const [x0, y0, x1, y1] = boxes.get(value) ?? [x, y, x + 1, y + 1];
      if (value) boxes.set(value, [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x + 1), Math.max(y1, y + 1)]);
    }
    const instances = [...boxes].map(([value, box]): Instance => {
      const mask = new InstanceMask(new Float32Array(784).fill(1), box, height, width);
      const score = 0.5 + (box[2] - box[0]) / 1000 + value / 10000;
      return { className: 'a', classIndex: 0, score, box, mask, keypoints: [{ name: 'k', x: box[0], y: box[1], score: 1 }] };
    });
    return new Prediction(instances, { data, height, width, channels: 3, format: 'RGB' }, TIMES);
  },
};

describe('tilesOf', () => {
  it('covers the picture with tiles that overlap, the last ones at its borders', () => {
    expect(tilesOf({ height: 50, width: 100 }, 40, 0.25)).toEqual(
      [0, 10].flatMap((y0) => [0, 30, 60].map((x0) => ({ x0, y0, x1: x0 + 40, y1: y0 + 40 }))),
    );
    expect(tilesOf({ height: 30, width: 40 }, 40, 0.5)).toEqual([{ x0: 0, y0: 0, x1: 40, y1: 30 }]);
  });
});

describe('predictTiled', () => {
  it('gives what predict gives where one tile holds the picture', async () => {
    const image = picture(30, 40, [[3, 4, 20, 12]]);
    const plain = await finder.predict(image);
    const tiled = await predictTiled(finder, image, { tile: 64 });
    expect(tiled.toCoco({ imageId: 1 })).toEqual(plain.toCoco({ imageId: 1 }));
  });

  it('finds an object that borders cut once, with all of its pixels, however long it is', async () => {
    const rectangles: [number, number, number, number][] = [
      [5, 5, 95, 12], // over all three tiles of a row
      [32, 20, 38, 26], // whole in both tiles
      [70, 28, 80, 36], // in one column, over both rows
    ];
    const image = picture(50, 100, rectangles);
    const result = await predictTiled(finder, image, { tile: 40 });
    const boxes = result.instances.map(({ box }) => box).sort((a, b) => a[0] - b[0]);
    expect(boxes).toEqual(rectangles);
    for (const { box, mask, keypoints } of result) {
      const [x0, y0, x1, y1] = box;
      expect(mask!.area()).toBe((x1 - x0) * (y1 - y0));
      const bitmap = mask!.toBitmap();
      bitmap.forEach((on, i) => {
        const [x, y] = [i % 100, Math.floor(i / 100)];
        expect(on).toBe(Number(x >= x0 && x < x1 && y >= y0 && y < y1));
      });
      expect(keypoints![0]!.y).toBe(y0);
    }
    const whole = await finder.predict(image);
    const runs = (p: Prediction) => p.instances.map(({ mask }) => rleToString(mask!.toRle())).sort();
    expect(runs(result)).toEqual(runs(whole));
    expect(result.times.heads).toBe(2 * 6);
  });

  it('keeps objects apart that lie side by side in the overlap, and classes apart always', () => {
    const at = (box: [number, number, number, number], classIndex = 0): Instance => ({
      className: 'a',
      classIndex,
      score: 0.9,
      box,
      mask: undefined,
    });
    const tiles = [
      { x0: 0, y0: 0, x1: 40, y1: 40 },
      { x0: 30, y0: 0, x1: 70, y1: 40 },
    ];
    // Pixels 30 to 40 are seen twice: rows 0 to 10 by the one, rows 20 to 30 by the other.
    const apart = [
      { tile: tiles[0]!, instances: [at([20, 0, 40, 10])] },
      { tile: tiles[1]!, instances: [at([0, 20, 20, 30])] },
    ];
    expect(mergeTiles(apart, { height: 40, width: 70 }, 0.5)).toHaveLength(2);
    const same = [
      { tile: tiles[0]!, instances: [at([20, 0, 40, 10])] },
      { tile: tiles[1]!, instances: [at([0, 0, 20, 10])] },
    ];
    expect(mergeTiles(same, { height: 40, width: 70 }, 0.5).map(({ box }) => box)).toEqual([[20, 0, 50, 10]]);
    const other = [same[0]!, { tile: tiles[1]!, instances: [at([0, 0, 20, 10], 1)] }];
    expect(mergeTiles(other, { height: 40, width: 70 }, 0.5)).toHaveLength(2);
  });

  it('refuses tiles and overlaps that make no sense', async () => {
    await expect(predictTiled(finder, picture(4, 4, []), { tile: 0 })).rejects.toThrow(/tile is 0/);
    await expect(predictTiled(finder, picture(4, 4, []), { overlap: 1 })).rejects.toThrow(/overlap is 1/);
  });
});
