import { describe, expect, it } from 'vitest';
import type { Config } from '../../../src/config/index.js';
import { defaultConfig } from '../../../src/config/merge.js';
import { anchorFit } from '../../../src/engine/recipe/anchor_fit.js';
import { applyAutoRecipe, type RecipeConditions } from '../../../src/engine/recipe/auto_recipe.js';
import { type DatasetFacts, datasetFacts, inputScale, quantile } from '../../../src/engine/recipe/dataset_facts.js';
import { estimateMemory } from '../../../src/engine/recipe/memory_estimate.js';
import { preflight } from '../../../src/engine/recipe/preflight.js';
import { rateForBatch } from '../../../src/engine/recipe/rates.js';
import type { ModelParameter } from '../../../src/layers/module.js';
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

describe('applyAutoRecipe, in what it says', () => {
  const recipe = (change: (cfg: Config) => void, more: Partial<RecipeConditions> = {}, of = facts()) => {
    const cfg = defaultConfig();
    change(cfg);
    const choices = applyAutoRecipe(cfg, of, { ...conditions, ...more });
    return { cfg, why: Object.fromEntries(choices.map(({ key, why }) => [key, why])), choices };
  };

  it('gives every key once, and each with a reason', () => {
    const { choices } = recipe(() => {});
    expect(new Set(choices.map(({ key }) => key)).size).toBe(choices.length);
    for (const { key, why } of choices) expect(why.length, key).toBeGreaterThan(10);
  });

  it('takes the rate of AdamW where that is the optimiser, with any batch', () => {
    const { cfg, why } = recipe(({ SOLVER }) => Object.assign(SOLVER, { OPTIMIZER: 'ADAMW', IMS_PER_BATCH: 8 }), {
      explicit: new Set(['SOLVER.OPTIMIZER', 'SOLVER.IMS_PER_BATCH']),
    });
    expect(cfg.SOLVER).toMatchObject({ BASE_LR: 0.0001, WEIGHT_DECAY: 0.05 });
    expect(why['SOLVER.BASE_LR']).toMatch(/AdamW/);
    expect(recipe(() => {}).why['SOLVER.BASE_LR']).toBe('0.02 goes with 16 pictures a step; there are 2');
  });

  it('takes norms that learn with random weights: of groups, or of the batch where channels do not fit groups', () => {
    const resnet = (cfg: Config) => void (cfg.MODEL.BACKBONE.NAME = 'build_resnet_fpn_backbone');
    const group = recipe(resnet, { pretrained: false });
    expect([group.cfg.MODEL.RESNETS.NORM, group.cfg.MODEL.FPN.NORM]).toEqual(['GN', 'GN']);
    expect(group.why['MODEL.RESNETS.NORM']).toMatch(
      /the weights are random, with which FrozenBN normalises nothing; group norms/,
    );
    // What is chosen has nothing to be warned of.
    const checked = preflight({ config: group.cfg, facts: facts(), parameters: [], pretrained: false, picture, memory: 2 ** 36 });
    expect(checked.warnings).toEqual([]);
    const narrow = recipe(
      (cfg) => {
        resnet(cfg);
        cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = 8;
      },
      { pretrained: false },
    );
    expect(narrow.cfg.MODEL.RESNETS.NORM).toBe('BN');
    expect(narrow.why['MODEL.RESNETS.NORM']).toMatch(/channels by 32, and there are 8/);
    expect(recipe(resnet).why).not.toHaveProperty(['MODEL.RESNETS.NORM']);
    const given = recipe(resnet, { pretrained: false, explicit: new Set(['MODEL.RESNETS.NORM']) });
    expect([given.cfg.MODEL.RESNETS.NORM, given.cfg.MODEL.FPN.NORM]).toEqual(['FrozenBN', '']);
  });

  it('makes the step of two pictures from two steps where memory is small, and the input smaller where it is smaller still', () => {
    const parameters = [{ shape: [1e6], trainable: true }];
    const at = (memory: number, more: Partial<RecipeConditions> = {}) =>
      recipe(() => {}, { machine: { memory, parameters }, ...more });
    const whole = at(2 ** 40);
    expect(whole.cfg.SOLVER).toMatchObject({ IMS_PER_BATCH: 2, ACCUMULATE: 1 });
    const needed = estimateMemory(whole.cfg, facts(), parameters);
    const half = at(needed);
    expect(half.cfg.SOLVER).toMatchObject({ IMS_PER_BATCH: 1, ACCUMULATE: 2, BASE_LR: 0.0025, MAX_ITER: 1000 });
    expect(half.why['SOLVER.IMS_PER_BATCH']).toMatch(
      /^two pictures a step would take about [\d.]+ GB, and the machine has [\d.]+ GB$/,
    );
    expect(half.cfg.INPUT.MIN_SIZE_TEST).toBe(416);
    const small = at(needed * 0.5);
    expect(small.cfg.INPUT.MIN_SIZE_TEST).toBeLessThan(416);
    expect(small.why['INPUT.MIN_SIZE_TRAIN']).toMatch(/^at 416 a step would take about/);
    expect(estimateMemory(small.cfg, facts(), parameters)).toBeLessThanOrEqual(0.8 * 0.5 * needed);
    const given = at(needed, { explicit: new Set(['SOLVER.IMS_PER_BATCH', 'INPUT.MIN_SIZE_TRAIN']) });
    expect(given.cfg.SOLVER.ACCUMULATE).toBe(1);
  });

  it('reckons the steps with a length that was given, also beside epochs', () => {
    const { cfg } = recipe(({ SOLVER }) => void (SOLVER.MAX_ITER = 900), { explicit: new Set(['SOLVER.MAX_ITER']), epochs: 3 });
    expect(cfg.SOLVER).toMatchObject({ MAX_ITER: 900, STEPS: [600, 800], WARMUP_ITERS: 90, CHECKPOINT_PERIOD: 90 });
    expect(cfg.TEST.EVAL_PERIOD).toBe(90);
  });
});

const picture = { data: new Uint8Array(12).fill(128), height: 2, width: 2, channels: 3, format: 'RGB' as const };

describe('preflight', () => {
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

describe('the lines of preflight', () => {
  const check = (change: (config: Config) => void, more: Partial<Parameters<typeof preflight>[0]> = {}) => {
    const config = defaultConfig();
    Object.assign(config.SOLVER, { IMS_PER_BATCH: 2, BASE_LR: 0.0025 });
    change(config);
    return preflight({ config, facts: facts(), parameters: [], pretrained: true, picture, memory: 2 ** 36, ...more });
  };
  const small = facts({ objects: Array.from({ length: 100 }, () => ({ height: 6, width: 6, picture: [400, 600] as const })) });
  const at400 = ({ INPUT }: Config) => void (INPUT.MIN_SIZE_TRAIN = [400]);

  it('say how large objects are at the input, and warn of those that are too small', () => {
    expect(check(() => {}).facts).toContain(
      'pictures are scaled by 2.00 (median) to a short side of 800; objects are then 96, 96, 96 pixels large (5 %, median, 95 %)',
    );
    expect(check(at400, { facts: small }).warnings).toContainEqual(
      expect.stringMatching(
        /^a twentieth of the objects is below 6 pixels at the network's input: .*Raise INPUT\.MIN_SIZE_TRAIN/,
      ),
    );
  });

  it('say how many objects the anchors fit, and name better ones', () => {
    expect(check(() => {}).facts).toContainEqual(
      expect.stringMatching(/^anchors \[\[32,64,128,256,512\]\] fit 100 % of the objects/),
    );
    const tiny = facts({ objects: [{ height: 10, width: 10, picture: [400, 600] }] });
    expect(check(at400, { facts: tiny }).warnings).toContainEqual(
      expect.stringMatching(/fit 0 % of the objects; MODEL\.ANCHOR_GENERATOR\.SIZES=\[\[8,16,32,64,128\]\] would fit 100 %/),
    );
  });

  it('say in what range pixels reach the network, and warn of means and deviations for pixels of 0 to 1', () => {
    expect(check(() => {}).facts).toContain(
      "pixels: BGR, normalised to -123.7..151.5; the first picture's means are 24.47, 11.72, 4.33",
    );
    const unit = check(({ MODEL }) =>
      Object.assign(MODEL, { PIXEL_MEAN: [0.485, 0.456, 0.406], PIXEL_STD: [0.229, 0.224, 0.225] }),
    );
    expect(unit.warnings).toEqual([
      expect.stringMatching(/^pixels reach the network between -2\.12 and .*are for pixels of 0\.\.255\./),
    ]);
  });

  it('say for how many classes the heads are', () => {
    const parameters = [
      { name: 'backbone.stem.weight', shape: [1], trainable: false },
      { name: 'roi_heads.box_predictor.cls_score.weight', shape: [3, 1024], trainable: true },
      { name: 'roi_heads.mask_head.predictor.weight', shape: [2, 256, 1, 1], trainable: true },
    ] as unknown as ModelParameter[];
    expect(check(() => {}, { parameters }).facts).toContain(
      'heads for 2 classes: box_predictor.cls_score [3, 1024], mask_head.predictor [2, 256, 1, 1]; 2 of 3 tensors train',
    );
  });

  it("warn of SGD's rate with AdamW", () => {
    const adam = (rate: number) => check(({ SOLVER }) => Object.assign(SOLVER, { OPTIMIZER: 'ADAMW', BASE_LR: rate })).warnings;
    expect(adam(0.02)).toEqual([expect.stringMatching(/BASE_LR 0\.02 is a rate for SGD: .* 0\.0001 goes with pretrained/)]);
    expect(adam(0.001)).toEqual([]);
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
