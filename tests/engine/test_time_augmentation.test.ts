import * as tf from '@tensorflow/tfjs-core';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getConfig } from '../../src/config/index.js';
import { readImage } from '../../src/data/image_io/read_image.js';
import type { Image } from '../../src/data/image_io/pixel_formats.js';
import type { ModelSource } from '../../src/engine/load_model.js';
import { Predictor } from '../../src/engine/predictor.js';
import { type AugmentableModel, inferAugmented } from '../../src/engine/test_time_augmentation.js';
import { ConfigError } from '../../src/errors.js';
import type { Prediction } from '../../src/structures/prediction.js';
import { goldenFolder } from '../golden_folder.js';
import { goldenModel } from './golden_model.js';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/mask_rcnn_R_18_FPN/${name}`, import.meta.url));
const golden = goldenFolder();
const reason = golden ? '' : ' (skipped: ../shared/golden is not there)';

const mirrored = ({ data, height, width, ...rest }: Image): Image => {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) out[(y * width + width - 1 - x) * 3 + c] = data[(y * width + x) * 3 + c];
  return { ...rest, data: out, height, width };
};
/** On wasm, with several sizes and flips. */
const augmented = (source: ModelSource, overrides: readonly string[] = []): Promise<Predictor> =>
  Predictor.load(source, { device: 'wasm', overrides: ['TEST.AUG.ENABLED=true', ...overrides] });
const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

/** The tests of one model and picture. */
function testModel(open: () => { source: ModelSource; picture: string }): void {
  let source: ModelSource;
  let image: Image;
  let plain: Predictor;
  let whole: Prediction;
  beforeAll(async () => {
    const opened = open();
    ({ source } = opened);
    image = await readImage(opened.picture, { format: 'RGB' });
    plain = await Predictor.load(source, { device: 'wasm' });
    whole = await plain.predict(image);
  });
  afterAll(() => plain.dispose());

  it('at one size without flip is the plain prediction', async () => {
    const { MIN_SIZE_TEST, MAX_SIZE_TEST } = plain.config.INPUT;
    const predictor = await augmented(source, [
      `TEST.AUG.MIN_SIZES=[${MIN_SIZE_TEST}]`,
      `TEST.AUG.MAX_SIZE=${MAX_SIZE_TEST}`,
      'TEST.AUG.FLIP=false',
    ]);
    const before = tf.memory().numTensors;
    const result = await predictor.predict(image);
    expect(tf.memory().numTensors).toBe(before);
    expect(whole.length).toBeGreaterThan(3);
    expect(result.length).toBe(whole.length);
    result.instances.forEach((instance, i) => {
      const wanted = whole.instances[i];
      expect(instance.classIndex).toBe(wanted.classIndex);
      expect(instance.score).toBeCloseTo(wanted.score, 6);
      expect(largest(instance.box, wanted.box)).toBeLessThan(1e-4);
      expect(largest(instance.mask!.probabilities, wanted.mask!.probabilities)).toBeLessThan(1e-4);
    });
    predictor.dispose();
  });

  it('with flip gives the mirror image of a picture the mirrored boxes and masks, each the mean over the views', async () => {
    // The picture's own size, so that resizing has no part in it.
    const predictor = await augmented(source, [`TEST.AUG.MIN_SIZES=[${Math.min(image.height, image.width)}]`]);
    const [result, other] = [await predictor.predict(image), await predictor.predict(mirrored(image))];
    expect(result.length).toBeGreaterThan(3);
    expect(other.length).toBe(result.length);
    result.instances.forEach(({ box: [x0, y0, x1, y1], score, classIndex, mask }, i) => {
      const seen = other.instances[i];
      expect(seen.classIndex).toBe(classIndex);
      expect(seen.score).toBeCloseTo(score, 6);
      expect(largest(seen.box, [image.width - x1, y0, image.width - x0, y1])).toBeLessThan(1e-3);
      const { size, probabilities } = mask!;
      const turned = probabilities.map((_, at) => probabilities[at + size - 1 - 2 * (at % size)]);
      expect(largest(seen.mask!.probabilities, turned)).toBeLessThan(1e-4);
    });
    // The masks of the views apart, on the same boxes.
    const overrides = [`INPUT.MIN_SIZE_TEST=${Math.min(image.height, image.width)}`];
    const views = await Predictor.load(source, { device: 'wasm', overrides });
    const given = result.instances.map(({ box, classIndex, score }) => ({ box, classIndex, score }));
    const straight = await views.predictGiven(image, given);
    const turned = await views.predictGiven(
      mirrored(image),
      given.map(({ box: [x0, y0, x1, y1], ...rest }) => ({
        ...rest,
        box: [Math.max(0, image.width - x1), y0, image.width - x0, y1] as const,
      })),
    );
    result.instances.forEach(({ mask }, i) => {
      const [a, b] = [straight.instances[i].mask!, turned.instances[i].mask!.probabilities];
      const mean = a.probabilities.map((value, at) => (value + b[at + a.size - 1 - 2 * (at % a.size)]) / 2);
      expect(largest(mask!.probabilities, mean)).toBeLessThan(1e-4);
    });
    views.dispose();
    predictor.dispose();
  });
}

describe('test-time augmentation', () => {
  testModel(() => ({ source: fixture('model'), picture: fixture('inputs/0.png') }));

  it('merges the boxes of all views per class and averages their masks: by hand', async () => {
    // A picture of 10 x 20, seen at 10 and at 20 pixels, straight and mirrored.
    const overrides = ['TEST.AUG.MIN_SIZES=[10,20]', 'MODEL.MASK_ON=true', 'MODEL.ROI_HEADS.NUM_CLASSES=2'];
    const config = getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', overrides);
    const small: Image = { data: new Uint8Array(600), height: 10, width: 20, channels: 3, format: 'RGB' };
    const sizes: [number, number][] = [];
    const given: number[][] = [];
    // By view: the box of class 0 that all see, where each sees it; the last view sees class 1 there too, and the second another object.
    const seen = [
      { boxes: [2, 2, 8, 8], scores: [0.6], classes: [0] },
      { boxes: [12, 2, 18, 8, 0, 0, 4, 4], scores: [0.9, 0.5], classes: [0, 0] },
      { boxes: [4, 4, 16, 16], scores: [0.7], classes: [0] },
      { boxes: [24, 4, 36, 16], scores: [0.8], classes: [1] },
    ];
    const times = { preprocess: 1, proposals: 2, heads: 3 };
    const model: AugmentableModel = {
      infer: ([{ height, width }]) => {
        const { boxes, scores, classes } = seen[sizes.length];
        sizes.push([height, width]);
        const found = {
          boxes: Float32Array.from(boxes),
          scores: Float32Array.from(scores),
          classes: Int32Array.from(classes),
          rows: Int32Array.from(classes, (_, i) => i),
          masks: undefined,
        };
        return Promise.resolve({ instances: [found], times });
      },
      inferGiven: (_, [{ boxes, scores, classes }]) => {
        const view = given.push([...boxes]) - 1;
        // One pixel in the left column of the view's mask.
        const probabilities = new Float32Array((4 * boxes.length) / 4).map((__, i) => (i % 2 === 0 ? 0.2 * (view + 1) : 0));
        const rows = Int32Array.from(boxes.subarray(boxes.length * 0.75), (__, i) => i);
        const found = { boxes, scores: scores as Float32Array<ArrayBuffer>, classes: classes as Int32Array<ArrayBuffer>, rows };
        return Promise.resolve({ instances: [{ ...found, masks: { size: 2, probabilities } }], times });
      },
    };
    const { instances, times: spent } = await inferAugmented(model, small, config, () => ({}));
    expect(sizes).toEqual([
      [10, 20],
      [10, 20],
      [20, 40],
      [20, 40],
    ]);
    // The three views of class 0 agree on (2, 2, 8, 8): the best is left. The other object of view 1 is mirrored back.
    expect([...instances.scores].map((score) => Math.round(score * 10))).toEqual([9, 8, 5]);
    expect([...instances.classes]).toEqual([0, 1, 0]);
    expect([...instances.boxes]).toEqual([2, 2, 8, 8, 2, 2, 8, 8, 16, 0, 20, 4]);
    expect(given.map((boxes) => boxes.slice(8))).toEqual([
      [16, 0, 20, 4],
      [0, 0, 4, 4],
      [32, 0, 40, 8],
      [0, 0, 8, 8],
    ]);
    // Left columns of the straight views (0.2 and 0.6), right ones of the mirrored (0.4 and 0.8), each over four.
    const [left, right] = instances.masks!.probabilities;
    expect(left).toBeCloseTo(0.2, 6);
    expect(right).toBeCloseTo(0.3, 6);
    expect(spent).toEqual({ preprocess: 8, proposals: 16, heads: 24 });
  });
});

describe.skipIf(!golden).each([
  ['a cascade', '07'],
  ['C4', '08'],
])(`test-time augmentation of %s${reason}`, (_, number) => testModel(() => goldenModel(golden!, number)));

describe.skipIf(!golden)(`test-time augmentation of keypoints${reason}`, () => {
  it('is refused when the model is loaded', async () => {
    const loaded = augmented(goldenModel(golden!, '05').source);
    await expect(loaded).rejects.toThrow(ConfigError);
    await expect(loaded).rejects.toThrow(/several sizes and flips with keypoints/);
  });
});
