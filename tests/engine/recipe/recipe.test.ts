import { describe, expect, it } from 'vitest';
import { defaultConfig } from '../../../src/config/merge.js';
import { anchorFit } from '../../../src/engine/recipe/anchor_fit.js';
import { applyAutoRecipe } from '../../../src/engine/recipe/auto_recipe.js';
import { type DatasetFacts, datasetFacts, inputScale, quantile } from '../../../src/engine/recipe/dataset_facts.js';
import { preflight, rateForBatch } from '../../../src/engine/recipe/preflight.js';
import { iterationsOfEpochs, scaleSchedule } from '../../../src/engine/solver/scale_schedule.js';

const facts = (more: Partial<DatasetFacts> = {}): DatasetFacts => ({
  pictures: 100,
  withoutObjects: 0,
  sizes: Array.from({ length: 100 }, () => [400, 600] as const),
  objects: Array.from({ length: 200 }, () => ({ height: 48, width: 48, picture: [400, 600] as const })),
  classNames: ['a', 'b'],
  counts: [100, 100],
  ...more,
});

const conditions = { pretrained: true, evaluated: true, explicit: new Set<string>() };

describe('datasetFacts', () => {
  it('counts objects by class, without crowds, and pictures without objects', () => {
    const object = { bbox_mode: 1, bbox: [0, 0, 30, 20], category_id: 1 };
    const records = [
      { file_name: 'a', height: 50, width: 60, image_id: 1, annotations: [object, { ...object, iscrowd: 1 }] },
      { file_name: 'b', height: 50, width: 60, image_id: 2, annotations: [] },
    ];
    expect(datasetFacts(records, ['x', 'y'], 3)).toEqual({
      pictures: 5,
      withoutObjects: 4,
      sizes: [
        [50, 60],
        [50, 60],
      ],
      objects: [{ height: 20, width: 30, picture: [50, 60] }],
      classNames: ['x', 'y'],
      counts: [0, 1],
    });
  });

  it('takes quantiles and scales as the resize does', () => {
    expect(quantile([3, 1, 2, 4], 0.5)).toBe(3);
    expect(inputScale([400, 600], 800, 1333)).toBe(2);
    expect(inputScale([400, 1600], 800, 1333)).toBe(1333 / 1600);
  });
});

describe('anchorFit', () => {
  it('sees that anchors are too large, and by how much', () => {
    const cfg = defaultConfig();
    cfg.INPUT.MIN_SIZE_TRAIN = [400];
    const small = facts({ objects: [{ height: 10, width: 10, picture: [400, 600] }] });
    // 32-pixel anchors overlap a 10-pixel square by 100 / 1024; 8 or 16 pixels cover it (64 / 100).
    expect(anchorFit(cfg, small)).toEqual({ covered: 0, better: { sizes: [[8, 16, 32, 64, 128]], covered: 1 } });
    expect(anchorFit(cfg, facts()).covered).toBe(1);
  });
});

describe('applyAutoRecipe', () => {
  it('follows the size of the data set and the batch', () => {
    const cfg = defaultConfig();
    const choices = applyAutoRecipe(cfg, facts(), conditions);
    // 20 passes over 100 pictures, 2 a step.
    expect(cfg.SOLVER).toMatchObject({ IMS_PER_BATCH: 2, BASE_LR: 0.0025, MAX_ITER: 1000, STEPS: [667, 889], WARMUP_ITERS: 100 });
    expect(cfg.MODEL.BACKBONE.FREEZE_AT).toBe(3);
    expect(cfg.TEST.EVAL_PERIOD).toBe(100);
    // The pictures' own 400 is enough for objects of 48 pixels: 416 is the next multiple of 32.
    expect(cfg.INPUT).toMatchObject({ MIN_SIZE_TEST: 416, MAX_SIZE_TEST: 693 });
    expect(Math.max(...cfg.INPUT.MIN_SIZE_TRAIN)).toBe(416);
    expect(choices.find(({ key }) => key === 'SOLVER.MAX_ITER')?.why).toMatch(/20 passes over 100 pictures/);
  });

  it('gives every process a picture, and fits rate and length to that', () => {
    const cfg = defaultConfig();
    applyAutoRecipe(cfg, facts(), { ...conditions, processes: 4 });
    // 20 passes over 100 pictures, 4 a step.
    expect(cfg.SOLVER).toMatchObject({ IMS_PER_BATCH: 4, BASE_LR: 0.005, MAX_ITER: 500 });
  });

  it('leaves what was given, and reckons with it', () => {
    const cfg = defaultConfig();
    cfg.SOLVER.IMS_PER_BATCH = 8;
    const explicit = new Set(['SOLVER.IMS_PER_BATCH']);
    const choices = applyAutoRecipe(cfg, facts(), { ...conditions, explicit, epochs: 40, pretrained: false, evaluated: false });
    expect(choices.map(({ key }) => key)).not.toContain('SOLVER.IMS_PER_BATCH');
    expect(cfg.SOLVER).toMatchObject({ IMS_PER_BATCH: 8, BASE_LR: 0.01, MAX_ITER: 500 });
    expect(cfg.MODEL.BACKBONE.FREEZE_AT).toBe(0);
    expect(cfg.TEST.EVAL_PERIOD).toBe(0);
  });

  it('minds left and right, rare classes and empty pictures', () => {
    const cfg = defaultConfig();
    applyAutoRecipe(cfg, facts({ classNames: ['left hand', 'cup'], counts: [100, 2], withoutObjects: 5 }), conditions);
    expect(cfg.INPUT.RANDOM_FLIP).toBe('none');
    expect(cfg.DATALOADER).toMatchObject({
      SAMPLER_TRAIN: 'RepeatFactorTrainingSampler',
      REPEAT_THRESHOLD: 0.1,
      FILTER_EMPTY_ANNOTATIONS: false,
    });
  });
});

describe('preflight', () => {
  const picture = { data: new Uint8Array(12).fill(128), height: 2, width: 2, channels: 3, format: 'RGB' as const };
  const check = (more: Partial<Parameters<typeof preflight>[0]> = {}) =>
    preflight({ config: defaultConfig(), facts: facts(), parameters: [], pretrained: true, picture, memory: 2 ** 36, ...more });

  it('has nothing to warn of where all is well', () => {
    const config = defaultConfig();
    Object.assign(config.SOLVER, { IMS_PER_BATCH: 2, BASE_LR: 0.0025 });
    expect(check({ config }).warnings).toEqual([]);
  });

  it('warns of a rate too high for the batch, and names the one that fits', () => {
    const config = defaultConfig();
    Object.assign(config.SOLVER, { IMS_PER_BATCH: 2, BASE_LR: 0.02 });
    expect(check({ config }).warnings).toEqual([
      expect.stringMatching(/BASE_LR 0\.02 is high for 2 pictures a step: 0\.0025 goes/),
    ]);
    expect(rateForBatch(16)).toBe(0.02);
  });

  it('warns of classes without objects, random frozen weights, and memory', () => {
    expect(check({ facts: facts({ counts: [0, 5] }) }).warnings).toEqual([
      expect.stringMatching(/no object of a/),
      expect.stringMatching(/fewer than 10 objects of b/),
    ]);
    expect(check({ pretrained: false }).warnings).toEqual([
      expect.stringMatching(/FREEZE_AT=2/),
      expect.stringMatching(/FrozenBN/),
    ]);
    expect(check({ memory: 1e6 }).warnings).toEqual([expect.stringMatching(/may not fit in memory/)]);
  });
});

describe('a schedule in epochs', () => {
  it('falls at the same shares of the run', () => {
    const cfg = defaultConfig();
    Object.assign(cfg.SOLVER, { MAX_ITER: 90000, STEPS: [60000, 80000], IMS_PER_BATCH: 4, ACCUMULATE: 2, WARMUP_ITERS: 1000 });
    scaleSchedule(cfg, iterationsOfEpochs(cfg, 9, 800));
    expect(cfg.SOLVER).toMatchObject({ MAX_ITER: 900, STEPS: [600, 800], WARMUP_ITERS: 90 });
  });
});
