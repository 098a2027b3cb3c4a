import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync, existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { dumpConfig, getConfig, loadConfigFile } from '../../src/config/index.js';
import { ConfigError } from '../../src/errors.js';
import { goldenFolder } from '../golden_folder.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

describe('loadConfigFile', () => {
  it("reads Detectron2's YAML: tuples as text and as tags, 1.1 words, exponents, aliases", () => {
    const { config } = loadConfigFile(
      write(
        'forms.yaml',
        [
          'SOLVER:',
          '  STEPS: (60000, 80000)',
          '  BASE_LR: 1e-3',
          '  WEIGHT_DECAY: 1',
          '  NESTEROV: yes',
          'DATASETS:',
          '  TRAIN: ("coco_2017_train",)',
          "  TEST: ('a', 'b')",
          'INPUT:',
          '  MIN_SIZE_TRAIN: !!python/tuple [640, 800]',
          'MODEL:',
          '  RPN: {BBOX_REG_WEIGHTS: &w [1, 2, 3, 4]}',
          '  RETINANET: {BBOX_REG_WEIGHTS: *w}',
          '  ANCHOR_GENERATOR:',
          '    SIZES: !!python/object/apply:eval ["[[x, x * 2**(1.0/3), x * 2**(2.0/3) ] for x in [32, 64, 128, 256, 512 ]]"]',
        ].join('\n'),
      ),
    );
    expect(config.SOLVER).toMatchObject({ STEPS: [60000, 80000], BASE_LR: 0.001, WEIGHT_DECAY: 1, NESTEROV: true });
    expect(config.DATASETS).toMatchObject({ TRAIN: ['coco_2017_train'], TEST: ['a', 'b'] });
    expect(config.INPUT.MIN_SIZE_TRAIN).toEqual([640, 800]);
    expect(config.MODEL.RETINANET.BBOX_REG_WEIGHTS).toEqual([1, 2, 3, 4]);
    expect(config.MODEL.ANCHOR_GENERATOR.SIZES[4]).toEqual([512, 645.0795775461751, 812.7493386077181]);
  });

  it('lays files over their bases, in order', () => {
    write('base.yaml', 'MODEL: {MASK_ON: true, RESNETS: {DEPTH: 101}}\n');
    write('second.yaml', 'MODEL: {RESNETS: {DEPTH: 18}}\n');
    expect(loadConfigFile(write('sub/child.yaml', '_BASE_: ../base.yaml\nSEED: 5\n')).config).toMatchObject({
      SEED: 5,
      MODEL: { MASK_ON: true, RESNETS: { DEPTH: 101 } },
    });
    expect(loadConfigFile(write('two.yaml', '_BASE_: [base.yaml, second.yaml]\n')).config.MODEL).toMatchObject({
      MASK_ON: true,
      RESNETS: { DEPTH: 18 },
    });
  });

  it("falls back to Detectron2's own base of that name", () => {
    const path = write(
      'alone.yaml',
      '_BASE_: "../Base-RCNN-FPN.yaml"\nMODEL: {MASK_ON: True, WEIGHTS: "detectron2://ImageNetPretrained/MSRA/R-50.pkl"}\n',
    );
    expect(loadConfigFile(path).config).toEqual(getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x'));
  });

  it('takes an empty file for the defaults', () => {
    expect(loadConfigFile(write('empty.yaml', '# nothing\n')).config).toEqual(getConfig());
  });

  it.each([
    ['MODEL:\n  RPM: {}\n', /x\.yaml: unknown key MODEL\.RPM; did you mean MODEL\.RPN/],
    ['MODEL: {ROI_HEADS: {NUM_CLASSES: "three"}}', /x\.yaml: MODEL\.ROI_HEADS\.NUM_CLASSES must be an integer, got "three"/],
    ['MODEL: {PIXEL_MEAN: null}', /MODEL\.PIXEL_MEAN must be a list of numbers, got null/],
    ['- 1', /x\.yaml: a configuration is a mapping of keys/],
    ['MODEL: [', /x\.yaml: not a configuration in YAML: .*line 1/s],
    ['SEED: 1\nSEED: 2', /x\.yaml: not a configuration in YAML: .*unique/s],
    ['SEED: !!python/object/apply:os.system ["true"]', /x\.yaml: not a configuration in YAML: .*os\.system/s],
    ['SEED: !!python/object/apply:eval ["1 + 1"]', /Python expressions are not evaluated/],
    ['_BASE_: nowhere.yaml', /x\.yaml: _BASE_ "nowhere\.yaml" is not there \(looked for .*nowhere\.yaml\)/],
    ['_BASE_: 3', /x\.yaml: _BASE_ must be a file name/],
    ['_BASE_: x.yaml', /_BASE_ goes in a circle: .*x\.yaml -> .*x\.yaml/],
    ['VERSION: 1', /x\.yaml: VERSION must be 2, got 1/],
  ])('refuses %j', (text, message) => {
    const path = write('x.yaml', text);
    const attempt = () => loadConfigFile(path);
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(message);
  });

  it('names a file that is not there', () => {
    expect(() => getConfig(join(folder, 'missing.yaml'))).toThrow(/missing\.yaml: the configuration file cannot be read: ENOENT/);
  });
});

const golden = goldenFolder();
const models = golden ? join(golden, 'models') : '';
const cases = golden ? readdirSync(models).filter((name) => existsSync(join(models, name, 'config.yaml'))) : [];

describe.skipIf(!golden)("Detectron2's own dumps", () => {
  it.each(cases)('%s: every key is known and comes back equal', (name) => {
    const path = join(models, name, 'config.yaml');
    const { config } = loadConfigFile(path);
    expect(parse(dumpConfig(config), { version: '1.1' })).toEqual(parse(readFileSync(path, 'utf8'), { version: '1.1' }));
    expect(loadConfigFile(write('again.yaml', dumpConfig(config))).config).toEqual(config);
  });
});
