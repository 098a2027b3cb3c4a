import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getConfig } from '../../../src/config/index.js';
import { panopticToSemantic, semanticClassNames } from '../../../src/data/annotations/index.js';
import { readSemanticLabels } from '../../../src/data/image_io/read_semantic_labels.js';
import { trainSamplesFromConfig } from '../../../src/data/loader/index.js';
import { writeDataset } from '../loader/fixture.js';

const categories = [
  { id: 1, name: 'person', isthing: 1 },
  { id: 92, name: 'banner', isthing: 0 },
  { id: 7, name: 'train', isthing: 1 },
  { id: 95, name: 'bridge', isthing: 0 },
];

describe('panopticToSemantic', () => {
  it('puts all things into class 0, stuff by its order from 1, and ignores what is no segment', () => {
    const ids = Uint32Array.of(0, 10, 20, 30, 40, 99);
    const segments = [
      { id: 10, category_id: 95 },
      { id: 20, category_id: 1 },
      { id: 30, category_id: 92 },
      { id: 40, category_id: 7 },
    ];
    const { data, height, width } = panopticToSemantic({ ids, height: 2, width: 3 }, segments, categories);
    expect([...data]).toEqual([255, 2, 0, 1, 0, 255]);
    expect([height, width]).toEqual([2, 3]);
    expect(semanticClassNames(categories)).toEqual(['things', 'banner', 'bridge']);
  });

  it('names the segment of an unknown category', () => {
    expect(() =>
      panopticToSemantic({ ids: Uint32Array.of(5), height: 1, width: 1 }, [{ id: 5, category_id: 3 }], categories),
    ).toThrow('Segment 5 has the category 3, which is not among the categories of the file.');
  });
});

describe('semantic maps in training samples', () => {
  let files: Awaited<ReturnType<typeof writeDataset>>;
  let semantic: string;
  /** The class of a pixel of picture `id`. */
  const label = (id: number, x: number, y: number): number => (x + y === 5 ? 255 : (3 * x + 7 * y + id) % 54);
  const size = (id: number): [width: number, height: number] => (id % 3 === 0 ? [40, 60] : [64, 48]);
  const put = (id: number, [width, height] = size(id), channels: 1 | 3 = 1): void => {
    const data = new Uint8Array(width * height * channels);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data[(y * width + x) * channels] = label(id, x, y);
    writeFileSync(join(semantic, `picture_${id}.png`), encode({ width, height, channels, depth: 8, data }));
  };
  beforeAll(async () => {
    files = await writeDataset();
    semantic = mkdtempSync(join(tmpdir(), 'semantic-'));
    for (let id = 1; id <= 7; id++) put(id);
  });
  afterAll(() => [files.folder, semantic].forEach((folder) => rmSync(folder, { recursive: true, force: true })));

  const config = (...overrides: string[]) =>
    getConfig(undefined, ['SOLVER.IMS_PER_BATCH=1', 'INPUT.MIN_SIZE_TRAIN=[24]', 'INPUT.MAX_SIZE_TRAIN=100', ...overrides]);

  it.each([0, 1])('are resized to the nearest pixel and flipped with the picture (%i threads)', async (workers) => {
    const loader = await trainSamplesFromConfig(config('INPUT.RANDOM_FLIP=horizontal'), { ...files, semantic, seed: 3, workers });
    const seen = { plain: 0, flipped: 0 };
    for (let n = 0; n < 12; n++) {
      const [sample] = (await loader.next()).value!;
      const { imageId: id, height, width } = sample!;
      const [fromWidth, fromHeight] = size(id);
      const at = (x: number, y: number): number =>
        label(id, Math.floor(((x + 0.5) * fromWidth) / width), Math.floor(((y + 0.5) * fromHeight) / height));
      const expected = (flip: boolean): Uint8Array =>
        Uint8Array.from({ length: height * width }, (_, i) => {
          const x = i % width;
          return at(flip ? width - 1 - x : x, Math.floor(i / width));
        });
      const same = (flip: boolean): boolean => Buffer.compare(sample!.semantic!, expected(flip)) === 0;
      if (same(false)) seen.plain++;
      else if (same(true)) seen.flipped++;
      else throw new Error(`picture ${id}: neither the map nor its mirror image`);
    }
    expect(seen.plain).toBeGreaterThan(0);
    expect(seen.flipped).toBeGreaterThan(0);
    await loader.close();
  });

  it('are cropped with the picture', async () => {
    const loader = await trainSamplesFromConfig(
      config(
        'INPUT.RANDOM_FLIP=none',
        'INPUT.CROP.ENABLED=True',
        'INPUT.CROP.TYPE=absolute',
        'INPUT.CROP.SIZE=[20, 24]',
        'INPUT.MIN_SIZE_TRAIN=[20]',
      ),
      { ...files, semantic, seed: 5 },
    );
    for (let n = 0; n < 6; n++) {
      const [sample] = (await loader.next()).value!;
      const { semantic: map, imageId: id } = sample!;
      expect([sample!.height, sample!.width]).toEqual([20, 24]);
      const [width, height] = size(id);
      const isCropAt = (left: number, top: number): boolean =>
        map!.every((v: number, i: number) => v === label(id, left + (i % 24), top + Math.floor(i / 24)));
      const places = Array.from({ length: (width - 23) * (height - 19) }, (_, i) => [
        i % (width - 23),
        Math.floor(i / (width - 23)),
      ]);
      expect(places.some(([left, top]) => isCropAt(left!, top!))).toBe(true);
    }
    await loader.close();
  });

  it('are refused with the name of the file where they do not fit', async () => {
    const first = async (): Promise<unknown> => {
      const loader = await trainSamplesFromConfig(config(), { ...files, semantic, seed: 1 });
      try {
        for (let n = 0; n < 7; n++) await loader.next();
        return undefined;
      } finally {
        await loader.close();
      }
    };
    put(2, [10, 10]);
    await expect(first()).rejects.toThrow(/picture_2\.png has 10 x 10 pixels, the picture 64 x 48; they must be equal\./);
    put(2, size(2), 3);
    await expect(first()).rejects.toThrow(
      /picture_2\.png has 3 channels of 8 bits; a semantic segmentation file has one of 8 bits/,
    );
    put(2);
    rmSync(join(semantic, 'picture_2.png'));
    await expect(first()).rejects.toThrow(/picture_2\.png' does not exist/);
    put(2);
    expect((await readSemanticLabels(join(semantic, 'picture_2.png'))).data[1]).toBe(label(2, 1, 0));
    await expect(
      trainSamplesFromConfig(config('MODEL.MASK_ON=True'), {
        ...files,
        semantic,
        seed: 1,
        mix: { copyPaste: { probability: 1 } },
      }),
    ).rejects.toThrow('Mosaics and copy-paste do not take semantic maps');
  });
});
