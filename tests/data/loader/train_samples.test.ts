import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getConfig } from '../../../src/config/index.js';
import { readImage } from '../../../src/data/image_io/read_image.js';
import { trainSamplesFromConfig } from '../../../src/data/loader/index.js';
import { resizeBilinear } from '../../../src/data/resize/resize.js';
import type { TrainingSample } from '../../../src/structures/training_sample.js';
import { writeDataset } from './fixture.js';

let files: Awaited<ReturnType<typeof writeDataset>>;
beforeAll(async () => {
  files = await writeDataset();
});
afterAll(() => rmSync(files.folder, { recursive: true, force: true }));

const config = (...overrides: string[]) =>
  getConfig(undefined, [
    'MODEL.MASK_ON=True',
    'SOLVER.IMS_PER_BATCH=2',
    'INPUT.MIN_SIZE_TRAIN=[32]',
    'INPUT.MAX_SIZE_TRAIN=100',
    ...overrides,
  ]);

async function take(loader: AsyncIterator<TrainingSample[]>, batches: number): Promise<TrainingSample[][]> {
  const out: TrainingSample[][] = [];
  for (let i = 0; i < batches; i++) out.push((await loader.next()).value as TrainingSample[]);
  return out;
}

describe('trainSamplesFromConfig', () => {
  it('resizes picture, boxes, polygons and run lengths alike, and leaves out crowds', async () => {
    const loader = await trainSamplesFromConfig(config('INPUT.RANDOM_FLIP=none', 'SOLVER.IMS_PER_BATCH=1'), {
      ...files,
      seed: 1,
    });
    const sample = (await take(loader, 6)).flat().find((s) => s.imageId === 2)!;
    expect([sample.height, sample.width]).toEqual([32, 43]);
    const original = await readImage(sample.fileName, { format: 'BGR' });
    expect(sample.data).toEqual(resizeBilinear(original, 32, 43));
    const { boxes, classes, masks } = sample.groundTruth;
    const x = 43 / 64;
    const y = 32 / 48;
    [4 * x, 6 * y, 24 * x, 16 * y, 2 * x, 3 * y, 4 * x, 8 * y].forEach((v, i) => expect(boxes[i]).toBeCloseTo(v, 5));
    // Category 7 of the file comes after 3.
    expect(Array.from(classes)).toEqual([1, 1]);
    const [polygons, bitmap] = masks!;
    if (polygons.kind !== 'polygons' || bitmap.kind !== 'bitmap') throw new Error('wrong kinds');
    [4 * x, 6 * y, 24 * x, 6 * y].forEach((v, i) => expect(polygons.polygons[0][i]).toBeCloseTo(v, 10));
    // Nearest: output pixel i takes input pixel floor((i + 0.5) * scale); the object covers columns 2, 3 and rows 3 ... 7.
    for (let row = 0; row < 32; row++)
      for (let column = 0; column < 43; column++) {
        const r = Math.floor(((row + 0.5) * 48) / 32);
        const c = Math.floor(((column + 0.5) * 64) / 43);
        expect(bitmap.bitmap[row * 43 + column]).toBe(c >= 2 && c < 4 && r >= 3 && r < 8 ? 1 : 0);
      }
    await loader.close();
  });

  it('visits every picture once an epoch, upright and lying ones apart, and counts pictures without objects', async () => {
    const loader = await trainSamplesFromConfig(config(), { ...files, seed: 3 });
    expect(loader.dataset.withoutObjects).toBe(1);
    expect(loader.dataset.classes).toEqual(['three', 'seven']);
    const batches = await take(loader, 30);
    const seen = new Map<number, number>();
    for (const batch of batches) {
      expect(new Set(batch.map((s) => s.width > s.height)).size).toBe(1);
      for (const s of batch) seen.set(s.imageId, (seen.get(s.imageId) ?? 0) + 1);
    }
    // 60 samples are 10 epochs of 6 pictures, save those that wait for a partner.
    expect([...seen.keys()].sort()).toEqual([1, 2, 3, 4, 5, 6]);
    for (const count of seen.values()) expect(Math.abs(count - 10)).toBeLessThanOrEqual(1);
    await loader.close();
  });

  it('keeps pictures without objects when told', async () => {
    const loader = await trainSamplesFromConfig(config('DATALOADER.FILTER_EMPTY_ANNOTATIONS=False'), { ...files, seed: 3 });
    expect(loader.dataset.records.length).toBe(7);
    const empty = (await take(loader, 10)).flat().find((s) => s.imageId === 7)!;
    expect(empty.groundTruth.boxes.length).toBe(0);
    expect(empty.groundTruth.masks).toEqual([]);
    await loader.close();
  });

  it('gives the same samples for the same seed, others for another, and goes on from a state as if never stopped', async () => {
    const cfg = config('INPUT.CROP.ENABLED=True');
    const open = (seed: number, state?: Parameters<typeof trainSamplesFromConfig>[1]['state']) =>
      trainSamplesFromConfig(cfg, { ...files, seed, ...(state ? { state } : {}) });
    const first = await open(5);
    const head = await take(first, 5);
    const state = JSON.parse(JSON.stringify(first.state)) as typeof first.state;
    const tail = await take(first, 5);
    const again = await open(5);
    expect(await take(again, 10)).toEqual([...head, ...tail]);
    const resumed = await open(5, state);
    expect(await take(resumed, 5)).toEqual(tail);
    expect(resumed.state).toEqual(again.state);
    const other = await open(6);
    expect(await take(other, 5)).not.toEqual(head);
    await expect(open(6, state)).rejects.toThrow('seed 5, not 6');
  });

  it('mixes pictures as drawn from the seed', async () => {
    const mix = { mosaic: { probability: 0.5, height: 30, width: 50 }, copyPaste: { probability: 0.5 } };
    const options = { ...files, seed: 8, mix, batchSize: 1 };
    const first = (await take(await trainSamplesFromConfig(config(), options), 30)).flat();
    const again = (await take(await trainSamplesFromConfig(config(), options), 30)).flat();
    expect(again).toEqual(first);
    const mosaics = first.filter((s) => s.height === 30 && s.width === 50).length;
    // 30 coins: beyond 5 and 25 once in ten thousand seeds.
    expect(mosaics).toBeGreaterThan(5);
    expect(mosaics).toBeLessThan(25);
    const noMasks = trainSamplesFromConfig(config('MODEL.MASK_ON=False'), options);
    await expect(noMasks).rejects.toThrow('set MODEL.MASK_ON');
  });

  it('takes augmentations of the caller in the place of those of the configuration', async () => {
    const augmentations = [
      { name: 'ResizeShortestEdge', args: [{ shortEdge: [24], maxSize: 99 }] },
      { name: 'RandomBrightness', args: [0, 0] },
    ] as const;
    const loader = await trainSamplesFromConfig(config(), { ...files, seed: 1, augmentations });
    for (const sample of (await take(loader, 3)).flat()) {
      expect(Math.min(sample.height, sample.width)).toBe(24);
      expect(sample.data.every((v) => v === 0)).toBe(true);
    }
    const wrong = [{ name: 'RandomFlop' }] as unknown as typeof augmentations;
    await expect(trainSamplesFromConfig(config(), { ...files, seed: 1, augmentations: wrong })).rejects.toThrow('RandomFlip');
  });

  it('names the file of a picture that cannot be read, and goes on after it', async () => {
    const other = await writeDataset(4);
    writeFileSync(join(other.folder, 'picture_2.png'), 'no picture');
    const loader = await trainSamplesFromConfig(config('SOLVER.IMS_PER_BATCH=1'), { ...other, seed: 1 });
    const outcomes: string[] = [];
    for (let i = 0; i < 6; i++)
      await loader.next().then(
        ({ value }) => outcomes.push(String((value as TrainingSample[])[0].imageId)),
        (error: Error) => outcomes.push(error.message),
      );
    expect(outcomes.filter((o) => o.includes('picture_2.png')).length).toBe(2);
    expect(outcomes.filter((o) => o === '1').length).toBe(2);
    expect(outcomes.filter((o) => o === '3').length).toBe(2);
    await loader.close();
    expect((await loader.next()).done).toBe(true);
    rmSync(other.folder, { recursive: true });
  });

  it('gives the same samples in the same order with any number of threads, and resumes under another number', async () => {
    const cfg = config('INPUT.CROP.ENABLED=True');
    const alone = await trainSamplesFromConfig(cfg, { ...files, seed: 5 });
    const expected = await take(alone, 8);
    const loader = await trainSamplesFromConfig(cfg, { ...files, seed: 5, workers: 1 });
    expect(await take(loader, 4)).toEqual(expected.slice(0, 4));
    // Batches made ahead do not count: the rest is the same from here.
    const { state } = loader;
    await loader.close();
    const resumed = await trainSamplesFromConfig(cfg, { ...files, seed: 5, workers: 3, prefetch: 5, state });
    expect(await take(resumed, 4)).toEqual(expected.slice(4));
    await resumed.close();
  });

  it('names the file from a thread, with the class of the error, and goes on', async () => {
    const other = await writeDataset(4);
    writeFileSync(join(other.folder, 'picture_2.png'), 'no picture');
    const loader = await trainSamplesFromConfig(config('SOLVER.IMS_PER_BATCH=1'), { ...other, seed: 1, workers: 2, prefetch: 3 });
    const outcomes: string[] = [];
    for (let i = 0; i < 6; i++)
      await loader.next().then(
        ({ value }) => outcomes.push(String((value as TrainingSample[])[0].imageId)),
        (error: Error) => outcomes.push(`${error.name} ${error.message}`),
      );
    expect(outcomes.filter((o) => o.startsWith('ImageError') && o.includes('picture_2.png')).length).toBe(2);
    expect(outcomes.filter((o) => o === '3').length).toBe(2);
    await loader.close();
    rmSync(other.folder, { recursive: true });
  });

  it('ends its threads when a loop breaks off', async () => {
    const loader = await trainSamplesFromConfig(config(), { ...files, seed: 1, workers: 2 });
    for await (const batch of loader) {
      expect(batch.length).toBe(2);
      break;
    }
    expect(await loader.next()).toEqual({ done: true, value: undefined });
  });
});
