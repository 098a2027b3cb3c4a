import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dumpConfig, getConfig } from '../../../src/config/index.js';
import { keypointFlipDoubt, keypointFlipIndices, keypointFlipPairs } from '../../../src/data/annotations/keypoint_flip.js';
import { trainSamplesFromConfig, type TrainSamplesOptions } from '../../../src/data/loader/index.js';
import { ConfigError, DatasetError } from '../../../src/errors.js';
import { cocoKeypointNames } from '../../../src/model_zoo/coco_keypoints.js';

describe('keypointFlipIndices', () => {
  it('pairs by left and right in names, and as told', () => {
    expect(keypointFlipIndices(['nose', 'left_eye', 'right_eye', 'RIGHT ear', 'LEFT ear'])).toEqual([0, 2, 1, 4, 3]);
    expect(keypointFlipIndices(['bow', 'port', 'starboard'], [['port', 'starboard']])).toEqual([0, 2, 1]);
    // What is told goes before names, and its points are nobody else's.
    expect(keypointFlipIndices(['left', 'right', 'up'], [['left', 'up']])).toEqual([2, 1, 0]);
    expect(keypointFlipIndices(['left', 'right'], [['left', 'left']])).toEqual([0, 1]);
  });
});

describe('keypointFlipPairs', () => {
  it('takes pairs of names, numbers among them', () => {
    expect(keypointFlipPairs([['a', 1]], ['a', '1'])).toEqual([['a', '1']]);
  });

  it('names what is no pair', () => {
    const names = ['port', 'starboard', 'bow'];
    const refused = (...rows: string[][]) => expect(() => keypointFlipPairs(rows, names));
    refused(['port']).toThrow(/KEYPOINT_FLIP_PAIRS has \[port\]; expected the names of the two keypoints/);
    refused(['port', 'starbord']).toThrow(/no keypoint is called starbord; near it: starboard, port, bow\./);
    refused(['port', 'starboard'], ['bow', 'port']).toThrow(/has \[bow, port\], and port is in a pair before/);
    refused(['port']).toThrow(ConfigError);
  });
});

describe('keypointFlipDoubt', () => {
  it('has none about names with sides, and points that are told of', () => {
    expect(cocoKeypointNames).toHaveLength(17);
    expect(keypointFlipDoubt(cocoKeypointNames)).toBeUndefined();
    expect(keypointFlipDoubt(['left_wing', 'right_wing', 'bright_spot'])).toBeUndefined();
    expect(keypointFlipDoubt(['bow', 'port', 'starboard'], [['port', 'starboard']])).toBeUndefined();
    expect(keypointFlipDoubt(['head', 'tail'], [['head', 'head']])).toBeUndefined();
    expect(keypointFlipDoubt(['tip'])).toBeUndefined();
  });

  it('names the points where no two change places', () => {
    expect(keypointFlipDoubt(['port', 'starboard', 'bow'])).toBe(
      'in mirrored pictures no two of the keypoints port, starboard, bow change places: only names with left and right in them are known to. ' +
        'Say which do, such as INPUT.KEYPOINT_FLIP_PAIRS=[["port","starboard"]] (a name twice: it is its own mirror image), or set INPUT.RANDOM_FLIP=none.',
    );
  });

  it('names the points whose other side is missing', () => {
    expect(keypointFlipDoubt(['left_eye', 'right_eye', 'l_ear', 'r_ear', 'nose'])).toMatch(
      /the keypoints l_ear, r_ear keep their places/,
    );
    expect(keypointFlipDoubt(['left_eye', 'right_eye', 'leftEar', 'nose'])).toMatch(/the keypoint leftEar keeps its place/);
  });
});

describe('keypoints of training samples', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keypoint-flip-'));
  const names = ['left_wing', 'port', 'bow', 'right_wing', 'starboard'];
  // The last but one is not labelled.
  const keypoints = [10, 12, 2, 15, 20, 1, 30, 8, 2, 0, 0, 0, 50, 25, 2];
  // As Detectron2 reads them: in the middle of their pixels.
  const straight = [10.5, 12.5, 2, 15.5, 20.5, 1, 30.5, 8.5, 2, 0, 0, 0, 50.5, 25.5, 2];
  const [json, nameless] = [join(folder, 'named.json'), join(folder, 'nameless.json')];
  let pixels: Uint8Array;
  beforeAll(async () => {
    pixels = Uint8Array.from({ length: 64 * 48 * 3 }, (_, i) => (i * 7) % 251);
    await sharp(pixels, { raw: { width: 64, height: 48, channels: 3 } }).toFile(join(folder, 'a.png'));
    const annotation = {
      id: 1,
      image_id: 1,
      category_id: 1,
      iscrowd: 0,
      area: 900,
      bbox: [5, 5, 50, 30],
      num_keypoints: 4,
      keypoints,
    };
    const coco = { images: [{ id: 1, file_name: 'a.png', width: 64, height: 48 }], annotations: [annotation] };
    writeFileSync(json, JSON.stringify({ ...coco, categories: [{ id: 1, name: 'ship', keypoints: names, skeleton: [] }] }));
    writeFileSync(nameless, JSON.stringify({ ...coco, categories: [{ id: 1, name: 'ship' }] }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const pairs = 'INPUT.KEYPOINT_FLIP_PAIRS=[["port","starboard"]]';
  const config = (...overrides: string[]) =>
    getConfig('COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x', [
      ...['INPUT.MIN_SIZE_TRAIN=[48]', 'INPUT.MAX_SIZE_TRAIN=64', 'INPUT.FORMAT=RGB', 'SOLVER.IMS_PER_BATCH=1'],
      ...['MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS=5', ...overrides],
    ]);
  const open = (overrides: string[], more: Partial<TrainSamplesOptions> = {}) =>
    trainSamplesFromConfig(config(...overrides), { json, images: folder, seed: 4, ...more });

  it.each([0, 1])('stay with their names in mirrored pictures, with %i threads', async (workers) => {
    const loader = await open([pairs], { workers });
    expect(loader.dataset.warnings).toEqual([]);
    // In a mirrored picture x becomes 64 - x; the wings change places, port and starboard too, the bow does not.
    const mirrored = [0, 0, 0, 13.5, 25.5, 2, 33.5, 8.5, 2, 53.5, 12.5, 2, 48.5, 20.5, 1];
    const seen = { straight: 0, mirrored: 0 };
    for (let i = 0; i < 12; i++) {
      const [sample] = (await loader.next()).value!;
      const as = sample.data[0] === pixels[0] && sample.data[3] === pixels[3] ? 'straight' : 'mirrored';
      if (as === 'mirrored') expect(sample.data.slice(0, 3)).toEqual(pixels.slice(63 * 3, 64 * 3));
      expect(Array.from(sample.groundTruth.keypoints!)).toEqual(as === 'straight' ? straight : mirrored);
      seen[as]++;
    }
    // Twelve coins: all alike once in two thousand seeds.
    expect(Math.min(seen.straight, seen.mirrored)).toBeGreaterThan(0);
    await loader.close();
  });

  it('without the pair only those with sides change places', async () => {
    const loader = await open([]);
    const found = new Set<string>();
    for (let i = 0; i < 12; i++) found.add((await loader.next()).value![0].groundTruth.keypoints!.join(' '));
    expect(found).toEqual(new Set([straight.join(' '), '0 0 0 48.5 20.5 1 33.5 8.5 2 53.5 12.5 2 13.5 25.5 2']));
    await loader.close();
  });

  it('have a warning where none change places and pictures are mirrored, and a new pair of names settles it', async () => {
    const other = join(folder, 'other.json');
    writeFileSync(other, readFileSync(json, 'utf8').replace('left_wing', 'mast').replace('right_wing', 'keel'));
    const warnings = async (overrides: string[], more: Partial<TrainSamplesOptions> = {}) => {
      const loader = await open(overrides, { json: other, ...more });
      await loader.close();
      return loader.dataset.warnings;
    };
    expect(await warnings([])).toEqual([
      expect.stringMatching(/no two of the keypoints mast, port, bow, keel, starboard change places/),
    ]);
    expect(await warnings([pairs])).toEqual([]);
    for (const flip of ['none', 'vertical']) expect(await warnings([`INPUT.RANDOM_FLIP=${flip}`])).toEqual([]);
    expect(await warnings([], { augmentations: [{ name: 'RandomFlip', args: ['vertical'] }] })).toEqual([]);
    expect(await warnings(['INPUT.RANDOM_FLIP=none'], { augmentations: [{ name: 'RandomFlip' }] })).toHaveLength(1);
  });

  it('need names where pictures are mirrored, told before the first sample', async () => {
    const opened = open([], { json: nameless });
    await expect(opened).rejects.toThrow(DatasetError);
    await expect(opened).rejects.toThrow(/nameless\.json: no category names its keypoints .*INPUT\.RANDOM_FLIP=none/);
    const loader = await open(['INPUT.RANDOM_FLIP=none'], { json: nameless });
    expect(Array.from((await loader.next()).value![0].groundTruth.keypoints!)).toEqual(straight);
    await loader.close();
  });

  it('the pairs are a key that is written where it is set, and read back', () => {
    expect(dumpConfig(config())).not.toContain('KEYPOINT_FLIP_PAIRS');
    const file = join(folder, 'pairs.yaml');
    writeFileSync(file, dumpConfig(config(pairs)));
    expect(readFileSync(file, 'utf8')).toContain('  KEYPOINT_FLIP_PAIRS: [["port", "starboard"]]\n');
    expect(getConfig(file).INPUT.KEYPOINT_FLIP_PAIRS).toEqual([['port', 'starboard']]);
  });
});
