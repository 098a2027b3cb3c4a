import { describe, expect, it } from 'vitest';
import {
  dumpConfig,
  explainKey,
  getConfig,
  publishedConfigNames,
  resolveConfig,
  unsupportedSettings,
} from '../../src/config/index.js';
import { schemaFields } from '../../src/config/merge.js';
import { ConfigError, ZooError } from '../../src/errors.js';

describe('getConfig', () => {
  it("gives Detectron2's defaults without a source", () => {
    const cfg = getConfig();
    expect(cfg.MODEL.RESNETS.RES2_OUT_CHANNELS).toBe(256);
    expect(cfg.MODEL.FPN.OUT_CHANNELS).toBe(256);
    expect(cfg.MODEL.PIXEL_MEAN).toEqual([103.53, 116.28, 123.675]);
    expect(cfg.MODEL.RPN.PRE_NMS_TOPK_TRAIN).toBe(12000);
    expect(cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS).toEqual([512, 512, 512, 512, 512, 512, 512, 512]);
    expect(cfg.SOLVER.WEIGHT_DECAY_BIAS).toBeNull();
    expect(cfg.TEST.DETECTIONS_PER_IMAGE).toBe(100);
  });

  it('gives a fresh tree each time', () => {
    getConfig().MODEL.PIXEL_STD.push(7);
    expect(getConfig().MODEL.PIXEL_STD).toEqual([1, 1, 1]);
    getConfig('Misc/mask_rcnn_R_50_FPN_3x_gn').MODEL.RPN.IN_FEATURES.pop();
    expect(getConfig('Misc/mask_rcnn_R_50_FPN_3x_gn').MODEL.RPN.IN_FEATURES).toHaveLength(5);
  });

  it('resolves a published model with and without .yaml', () => {
    const cfg = getConfig('COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x.yaml');
    expect(cfg).toEqual(getConfig('COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x'));
    expect(cfg.MODEL.RESNETS).toMatchObject({ DEPTH: 101, NUM_GROUPS: 32, WIDTH_PER_GROUP: 8, STRIDE_IN_1X1: false });
    expect(cfg.MODEL.PIXEL_STD).toEqual([57.375, 57.12, 58.395]);
    expect(cfg.MODEL.RPN.PRE_NMS_TOPK_TEST).toBe(1000);
    expect(cfg.MODEL.ANCHOR_GENERATOR.SIZES).toEqual([[32], [64], [128], [256], [512]]);
    expect(cfg.SOLVER.STEPS).toEqual([210000, 250000]);
    expect(cfg.INPUT.MIN_SIZE_TRAIN).toEqual([640, 672, 704, 736, 768, 800]);
  });

  it('knows all published models and says which run', () => {
    const names = publishedConfigNames();
    expect(names).toHaveLength(67);
    for (const name of names) expect(getConfig(name).VERSION).toBe(2);
    expect(unsupportedSettings(getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x'))).toEqual([]);
    expect(unsupportedSettings(getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', ['TEST.AUG.ENABLED=True']))).toEqual(
      [],
    );
    expect(unsupportedSettings(getConfig('COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x', ['TEST.AUG.ENABLED=True']))).toEqual([
      'TEST.AUG.ENABLED: several sizes and flips with keypoints',
    ]);
  });

  it('lets scores decay where that is one rule, and writes the keys that only we have where they are set', () => {
    const name = 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x';
    const linear = 'TEST.SOFT_NMS.METHOD=linear';
    expect(unsupportedSettings(getConfig(name, [linear]))).toEqual([]);
    expect(unsupportedSettings(getConfig(name, [linear, 'TEST.AUG.ENABLED=True']))).toEqual([
      'TEST.SOFT_NMS.METHOD: scores that decay with several sizes and flips, whose boxes are suppressed together',
    ]);
    expect(unsupportedSettings(getConfig(name, [linear, 'MODEL.CONVENTIONS=matterport']))).toEqual([
      "TEST.SOFT_NMS.METHOD: scores that decay with matterport's rules",
    ]);
    expect(() => getConfig(name, ['TEST.SOFT_NMS.METHOD=cubic'])).toThrow(/TEST.SOFT_NMS.METHOD/);
    expect(dumpConfig(getConfig(name))).not.toContain('SOFT_NMS');
    expect(dumpConfig(getConfig(name, [linear]))).toContain('  SOFT_NMS:\n    METHOD: "linear"\n');
  });

  it('names the nearest models for an unknown one', () => {
    const attempt = () => getConfig('COCO-InstanceSegmentation/mask_rcnn_R50_FPN_3x');
    expect(attempt).toThrow(ZooError);
    expect(attempt).toThrow(/did you mean COCO-InstanceSegmentation\/mask_rcnn_R_50_FPN_3x,/);
  });
});

describe('overrides', () => {
  it('takes Python literals, plain strings and bare lists', () => {
    const cfg = getConfig(undefined, [
      'MODEL.ROI_HEADS.NUM_CLASSES=3',
      'SOLVER.BASE_LR=1e-3',
      'SOLVER.WEIGHT_DECAY=1',
      'INPUT.MIN_SIZE_TRAIN=(640, 800)',
      'SOLVER.STEPS=10,20',
      'MODEL.MASK_ON=True',
      'DATALOADER.REPEAT_SQRT=false',
      'MODEL.WEIGHTS=a=b.pkl',
      'MODEL.ANCHOR_GENERATOR.SIZES=[[8],[16.5]]',
      'SOLVER.WEIGHT_DECAY_BIAS=None',
      'OUTPUT_DIR=123',
    ]);
    expect(cfg.MODEL.ROI_HEADS.NUM_CLASSES).toBe(3);
    expect(cfg.SOLVER).toMatchObject({ BASE_LR: 0.001, WEIGHT_DECAY: 1, STEPS: [10, 20], WEIGHT_DECAY_BIAS: null });
    expect(cfg.INPUT.MIN_SIZE_TRAIN).toEqual([640, 800]);
    expect([cfg.MODEL.MASK_ON, cfg.DATALOADER.REPEAT_SQRT]).toEqual([true, false]);
    expect([cfg.MODEL.WEIGHTS, cfg.OUTPUT_DIR]).toEqual(['a=b.pkl', '123']);
    expect(cfg.MODEL.ANCHOR_GENERATOR.SIZES).toEqual([[8], [16.5]]);
  });

  it.each([
    ['MODEL.NUM_CLASSES=3', /unknown key MODEL\.NUM_CLASSES; did you mean MODEL\.ROI_HEADS\.NUM_CLASSES/],
    [
      'MODEL.ROI_HEADS.NUM_CLASES=3',
      /the command line: unknown key MODEL\.ROI_HEADS\.NUM_CLASES; did you mean MODEL\.ROI_HEADS\.NUM_CLASSES/,
    ],
    ['MODEL.ROI_HEADS.NUM_CLASSES=3.5', /MODEL\.ROI_HEADS\.NUM_CLASSES must be an integer, got "3\.5"/],
    ['MODEL.MASK_ON=1', /MODEL\.MASK_ON must be true or false, got "1"/],
    ['SOLVER.BASE_LR=None', /SOLVER\.BASE_LR must be a number, got "None"/],
    ['INPUT.MIN_SIZE_TRAIN=800', /INPUT\.MIN_SIZE_TRAIN must be a list of integers/],
    ['MODEL.RPN=3', /MODEL\.RPN is a section of keys/],
    ['MODEL.BACKBONE.NAME=build_resnet_fpn_backbon', /is not known; did you mean "build_resnet_fpn_backbone"/],
    ['MODEL.__proto__.x=3', /unknown key MODEL\.__proto__/],
    ['constructor=3', /unknown key constructor/],
    ['SEED', /the override "SEED" must be KEY=VALUE/],
    ['=3', /must be KEY=VALUE/],
  ])('refuses %s', (override, message) => {
    const attempt = () => getConfig(undefined, [override]);
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(message);
  });

  it('reports keys without effect, and only where they are changed', () => {
    expect(resolveConfig(undefined, ['CUDNN_BENCHMARK=False', 'VIS_PERIOD=0']).warnings).toEqual([]);
    expect(resolveConfig(undefined, ['CUDNN_BENCHMARK=True']).warnings).toEqual([
      'the command line: CUDNN_BENCHMARK has no effect: there is no cuDNN here',
    ]);
  });
});

describe('explainKey', () => {
  it('explains a key and a section', () => {
    expect(explainKey('MODEL.FPN.FUSE_TYPE')).toEqual([
      {
        key: 'MODEL.FPN.FUSE_TYPE',
        type: 'string',
        default: 'sum',
        description: 'How a level joins the upsampled coarser one.',
        choices: ['sum', 'avg'],
      },
    ]);
    expect(explainKey('MODEL.FPN')).toHaveLength(4);
    expect(() => explainKey('MODEL.FPM')).toThrow(/did you mean/);
  });

  it('has a sentence for every key', () => {
    const fields = [...schemaFields()];
    expect(fields.length).toBeGreaterThan(180);
    for (const [key, field] of fields) expect(field.description, key).toMatch(/^\S.+[.]$/);
  });
});

it('dumps floats so that Detectron2 reads them as floats', () => {
  const lines = dumpConfig(getConfig(undefined, ['SOLVER.WEIGHT_DECAY=1e-7', 'SOLVER.BASE_LR=2'])).split('\n');
  expect(lines).toContain('  WEIGHT_DECAY: 1.0e-7');
  expect(lines).toContain('  BASE_LR: 2.0');
  expect(lines).toContain('  WEIGHT_DECAY_BIAS: null');
  expect(lines).toContain('  PIXEL_STD: [1.0, 1.0, 1.0]');
  expect(lines).toContain('  MAX_ITER: 40000');
});
