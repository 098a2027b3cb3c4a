import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultConfig } from '../../../src/config/merge.js';
import type { CocoDataset } from '../../../src/data/coco/coco_types.js';
import { datasetRecords } from '../../../src/data/coco/dataset_records.js';
import { readImageSize } from '../../../src/data/image_io/read_image.js';
import { checkData, judgedSet, trainingSet } from '../../../src/engine/recipe/data_check.js';
import { writeTinyData } from '../../cli/tiny_data.js';

let folder: string;
let data: ReturnType<typeof writeTinyData>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'data-check-'));
  data = writeTinyData(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

const config = defaultConfig();
config.MODEL.MASK_ON = true;
const dataset = () => JSON.parse(readFileSync(data.json, 'utf8')) as CocoDataset;
const training = (of = dataset()) => trainingSet('train.json', datasetRecords(of, data.images).records);

describe('checkData', () => {
  it('says what it looked at', async () => {
    const line = 'train.json: 6 pictures are there, 6 were opened and have the sizes that it says';
    expect(await checkData(training(), config)).toBe(line);
    expect(await checkData(judgedSet('train.json', dataset(), data.images), config)).toBe(line);
  });

  it('finds pictures that are not there, and says how many', async () => {
    for (const i of [1, 2, 3, 5]) unlinkSync(join(data.images, `${i}.png`));
    const wanted = new RegExp(
      `^train\\.json: 4 of 6 pictures are not there: ${[1, 2, 3].map((i) => join(data.images, `${i}\\.png`)).join('; ')} and 1 more\\. Name the folder`,
    );
    await expect(checkData(training(), config)).rejects.toThrow(wanted);
    await expect(checkData(judgedSet('train.json', dataset(), data.images), config)).rejects.toThrow(wanted);
  });

  it('finds files that are no pictures, and pictures of another size, with their orientation', async () => {
    const turned = await sharp({ create: { width: 64, height: 48, channels: 3, background: 'red' } })
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toBuffer();
    writeFileSync(join(data.images, '0.png'), turned);
    writeFileSync(join(data.images, '1.png'), '<html>');
    expect(await readImageSize(join(data.images, '0.png'))).toEqual({ height: 64, width: 48 });
    const error = await checkData(training(), config).catch((e: unknown) => e as Error);
    expect((error as Error).message).toMatch(/^train\.json: 2 of 6 pictures that were opened cannot be used: /);
    expect((error as Error).message).toMatch(
      /0\.png has 48 x 64 pixels \(an orientation in EXIF counts\), the file says 64 x 64; /,
    );
    expect((error as Error).message).toMatch(/1\.png' is not an image that can be read/);
  });

  it('reads no pixels', async () => {
    const whole = readFileSync(join(data.images, '2.png'));
    writeFileSync(join(data.images, '2.png'), whole.subarray(0, 60));
    await expect(checkData(training(), config)).resolves.toMatch(/6 were opened/);
  });

  it('finds objects without the outlines or keypoints that the model learns', async () => {
    const without = dataset();
    delete without.annotations[1]!.segmentation;
    without.annotations[5] = { ...without.annotations[5]!, segmentation: [] };
    await expect(checkData(training(without), config)).rejects.toThrow(
      /^train\.json: 2 of 12 objects have no segmentation, which the model learns: image 1, box \[34, 23, 17, 15\]; image 3, .*MODEL\.MASK_ON=False/,
    );
    await expect(checkData(judgedSet('val.json', without, data.images), config)).rejects.toThrow(
      /^val\.json: 2 of 12 objects have no segmentation, .*: annotation 2 of image 1; annotation 6 of image 3\./,
    );
    const crowd = dataset();
    delete crowd.annotations[1]!.segmentation;
    crowd.annotations[1]!.iscrowd = 1;
    await expect(checkData(training(crowd), config)).resolves.toMatch(/6 pictures/);
    const boxes = { MODEL: { ...config.MODEL, MASK_ON: false } };
    await expect(checkData(training(without), boxes)).resolves.toMatch(/6 pictures/);
    const keypoints = { MODEL: { ...config.MODEL, KEYPOINT_ON: true } };
    await expect(checkData(training(), keypoints)).rejects.toThrow(
      /12 of 12 objects have no keypoints.*MODEL\.KEYPOINT_ON=False/,
    );
  });
});
