import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeDetectron2Pkl } from '../../src/checkpoint/pkl_writer.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { type SafetensorsTensor, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { getConfig, parseConfig, publishedConfigNames } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { giveStartWeights, otherClasses } from '../../src/engine/start_weights.js';
import type { ModelParameter } from '../../src/layers/module.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import { runMain } from '../cli/run_main.js';
import { TINY_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { useDevice } from '../ops/devices.js';
import { cocoClassNames } from '../../src/model_zoo/coco_classes.js';
import { backboneMismatches, imageNetBackbones } from '../../src/model_zoo/backbones.js';
import { addressOf, backboneOf } from '../../src/model_zoo/fetch_weights.js';

const folder = mkdtempSync(join(tmpdir(), 'fine-tuning-'));
/** A small ResNet-50 as the published configs use it: frozen norms, stem and res2 frozen, stride in the first convolution. */
const SMALL_R50 = TINY_CONFIG.replace('FREEZE_AT: 0', 'FREEZE_AT: 2')
  .replace(
    /RESNETS: .*/,
    'RESNETS: { DEPTH: 50, STEM_OUT_CHANNELS: 8, RES2_OUT_CHANNELS: 16, WIDTH_PER_GROUP: 4, OUT_FEATURES: [res2, res3, res4, res5] }',
  )
  .replace('OUT_CHANNELS: 32, NORM: GN', 'OUT_CHANNELS: 16');

let data: ReturnType<typeof writeTinyData>;
beforeAll(async () => {
  await useDevice('cpu');
  data = writeTinyData(folder, 6, ['red', 'blue']);
  writeFileSync(join(folder, 'tiny.yaml'), TINY_CONFIG);
  writeFileSync(join(folder, 'r50.yaml'), SMALL_R50);
});
afterAll(() => rmSync(folder, { recursive: true }));

type Values = Map<string, Float32Array>;

/** Values that tell one tensor from another, and every element from its neighbours. */
function numbered(parameters: readonly ModelParameter[]): Map<string, SafetensorsTensor> {
  return new Map(
    parameters.map(({ name, shape }, k) => {
      const length = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length }, (_, i) => ((i * 7 + k) % 13) / 100 - 0.06);
      return [name, { shape, dtype: 'F32', data }];
    }),
  );
}

/** Equal to the last bit; `toEqual` walks large arrays slowly. */
function expectSame(got: Float32Array | undefined, wanted: SafetensorsTensor['data'], name: string): void {
  const bytes = (values: unknown) => Buffer.from(Float32Array.from(values as Float32Array).buffer);
  expect(got !== undefined && bytes(got).equals(bytes(wanted)), `${name} is as it was given`).toBe(true);
}

async function valuesOf(parameters: readonly ModelParameter[]): Promise<Values> {
  return new Map(await Promise.all(parameters.map(async (p) => [p.name, await p.get()] as const)));
}

function model(yaml: string, ...overrides: string[]) {
  return buildModel(parseConfig(yaml, 'test.yaml', overrides).config);
}

/** Caffe2's name of a tensor of the backbone. */
function blobName(name: string): string {
  const parts: Record<string, string> = { shortcut: 'branch1', conv1: 'branch2a', conv2: 'branch2b', conv3: 'branch2c' };
  const suffix = name.endsWith('.norm.weight') ? '_bn_s' : name.endsWith('.norm.bias') ? '_bn_b' : '_w';
  if (name.startsWith('backbone.bottom_up.stem')) return `${suffix === '_w' ? 'conv1' : 'res_conv1'}${suffix}`;
  const [, stage, block, part] = /(res\d)\.(\d+)\.(\w+)/.exec(name)!;
  return `${stage}_${block}_${parts[part!]}${suffix}`;
}

const FOLDED = /^backbone\.bottom_up\.(?!.*running_)/;
const isBackbone = ({ name }: ModelParameter) => FOLDED.test(name);

/** A Caffe2 backbone: blobs with folded norms, the classifier of ImageNet and the momenta of its training. */
async function writeCaffe2(path: string, parameters: readonly ModelParameter[]): Promise<Map<string, SafetensorsTensor>> {
  const tensors = numbered(parameters.filter(isBackbone));
  const blobs = new Map([...tensors].map(([name, tensor]) => [blobName(name), tensor]));
  for (const extra of ['fc1000_w', 'fc1000_b', 'conv1_b', 'conv1_w_momentum'])
    blobs.set(extra, { shape: [2], dtype: 'F32', data: Float32Array.of(1, 2) });
  mkdirSync(dirname(path), { recursive: true });
  await writeDetectron2Pkl(path, blobs);
  // A name of the same length: what is under 'model' is under 'blobs' in these files.
  const bytes = readFileSync(path);
  bytes.write('blobs', bytes.indexOf('model'), 'latin1');
  writeFileSync(path, bytes);
  return tensors;
}

const train = (config: string, output: string, ...more: string[]) =>
  runMain([
    ...['train', '--config', join(folder, config), '--train-json', data.json, '--train-images', data.images],
    ...['--output', join(folder, output), '--device', 'wasm', ...more],
  ]);

describe('weights with another number of classes', () => {
  it('give all but the layers that depend on it, which are named with both shapes and drawn anew', async () => {
    const published = model(TINY_CONFIG, 'MODEL.ROI_HEADS.NUM_CLASSES=80');
    const tensors = numbered(published.modelParameters());
    const path = join(folder, 'published.pkl');
    await writeDetectron2Pkl(path, tensors);
    const tuned = model(TINY_CONFIG, 'MODEL.ROI_HEADS.NUM_CLASSES=7');
    const report = giveStartWeights(tuned.modelParameters(), await readCheckpoint(path), new Random(5));
    const shape = (from: number[], to: number[]) =>
      `has the shape [${from.join(', ')}] in the file and needs [${to.join(', ')}] for this number of classes`;
    expect(report.fresh).toEqual([
      { part: 'roi_heads.box_predictor.cls_score', why: shape([81, 32], [8, 32]) },
      { part: 'roi_heads.box_predictor.bbox_pred', why: shape([320, 32], [28, 32]) },
      { part: 'roi_heads.mask_head.predictor', why: shape([80, 32, 1, 1], [7, 32, 1, 1]) },
    ]);
    expect(report.loaded).toBe(tuned.modelParameters().length - 6);
    const values = await valuesOf(tuned.modelParameters());
    for (const [name, got] of values) {
      if (report.fresh.some(({ part }) => name.startsWith(part))) continue;
      expectSame(got, tensors.get(name)!.data, name);
    }
    // As Detectron2 draws them: normal with 0.01, 0.001 and 0.001, biases 0.
    const deviation = (name: string) => {
      const v = values.get(name)!;
      return Math.sqrt(v.reduce((sum, x) => sum + x * x, 0) / v.length);
    };
    expect(deviation('roi_heads.box_predictor.cls_score.weight') / 0.01).toBeCloseTo(1, 0);
    expect(deviation('roi_heads.box_predictor.bbox_pred.weight') / 0.001).toBeCloseTo(1, 0);
    expect(deviation('roi_heads.mask_head.predictor.weight') / 0.001).toBeCloseTo(1, 0);
    expect([...values.get('roi_heads.box_predictor.cls_score.bias')!]).toEqual(new Array(8).fill(0));
    published.dispose();
    tuned.dispose();
  });

  it.each([
    [
      'keypoint_head',
      ['MODEL.KEYPOINT_ON=true'],
      'MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS',
      17,
      5,
      ['roi_heads.keypoint_head.score_lowres'],
    ],
    [
      'SemanticSegmentor',
      ['MODEL.META_ARCHITECTURE=SemanticSegmentor', 'MODEL.SEM_SEG_HEAD.CONVS_DIM=32'],
      'MODEL.SEM_SEG_HEAD.NUM_CLASSES',
      54,
      6,
      ['sem_seg_head.predictor'],
    ],
    [
      'RetinaNet',
      [
        'MODEL.META_ARCHITECTURE=RetinaNet',
        'MODEL.BACKBONE.NAME=build_retinanet_resnet_fpn_backbone',
        "MODEL.FPN.IN_FEATURES=['res3', 'res4', 'res5']",
      ],
      'MODEL.RETINANET.NUM_CLASSES',
      80,
      3,
      ['head.cls_score'],
    ],
  ])('keep all but the last layer of %s', async (_, overrides, key, published, own, fresh) => {
    const large = model(TINY_CONFIG, ...overrides, `${key}=${published}`);
    const tensors = numbered(large.modelParameters());
    const path = join(folder, `${key}.safetensors`);
    await writeSafetensors(path, tensors);
    const small = model(TINY_CONFIG, ...overrides, `${key}=${own}`);
    const report = giveStartWeights(small.modelParameters(), await readCheckpoint(path), new Random(5));
    expect(report.fresh.map(({ part }) => part)).toEqual(fresh);
    expect(report.loaded).toBe(small.modelParameters().filter(({ name }) => !name.startsWith(fresh[0]!)).length);
    large.dispose();
    small.dispose();
  });

  it('start a longer head: the layers that the file lacks are named and drawn', async () => {
    const short = model(TINY_CONFIG, 'MODEL.ROI_MASK_HEAD.NUM_CONV=1');
    const tensors = numbered(short.modelParameters());
    const path = join(folder, 'short.safetensors');
    await writeSafetensors(path, tensors);
    const long = model(TINY_CONFIG, 'MODEL.ROI_MASK_HEAD.NUM_CONV=3');
    const { fresh, loaded } = giveStartWeights(long.modelParameters(), await readCheckpoint(path), new Random(5));
    expect(fresh).toEqual([2, 3].map((k) => ({ part: `roi_heads.mask_head.mask_fcn${k}`, why: 'is not in the file' })));
    expect(loaded).toBe(short.modelParameters().length);
    const values = await valuesOf(long.modelParameters());
    for (const [name, { data }] of tensors) expectSame(values.get(name), data, name);
    // Not a layer of the backbone: that file is of another architecture.
    await writeSafetensors(path, new Map([...tensors].filter(([name]) => !name.startsWith('backbone.bottom_up.res4.1.conv2'))));
    const cut = await readCheckpoint(path);
    expect(() => giveStartWeights(long.modelParameters(), cut, new Random(5))).toThrow(/res4\.1\.conv2\.weight/);
    short.dispose();
    long.dispose();
  });

  it('of another width are refused, not passed over', async () => {
    const wide = model(TINY_CONFIG, 'MODEL.ROI_BOX_HEAD.FC_DIM=48');
    const path = join(folder, 'wide.safetensors');
    await writeSafetensors(path, numbered(wide.modelParameters()));
    const narrow = model(TINY_CONFIG);
    const checkpoint = await readCheckpoint(path);
    expect(() => giveStartWeights(narrow.modelParameters(), checkpoint, new Random(5))).toThrow(
      /wide\.safetensors: does not fit the model.*roi_heads\.box_head\.fc1\.weight/,
    );
    wide.dispose();
    narrow.dispose();
  });

  it('train from the command line, which warns loudly, with --json too', { timeout: 300_000 }, async () => {
    const published = model(TINY_CONFIG, 'MODEL.ROI_HEADS.NUM_CLASSES=80');
    const path = join(folder, 'coco.safetensors');
    giveStartWeights(published.modelParameters(), undefined, new Random(1));
    const values = await valuesOf(published.modelParameters());
    const tensors = published.modelParameters().map(({ name, shape }) => {
      return [name, { shape, dtype: 'F32', data: values.get(name)! as Float32Array<ArrayBuffer> }] as const;
    });
    await writeSafetensors(path, new Map(tensors));
    published.dispose();
    const { code, out, err } = await train('tiny.yaml', 'classes', '--weights', path, '--json', 'SOLVER.MAX_ITER=1');
    expect(code).toBe(0);
    expect(err).toMatch(
      /WARNING: roi_heads\.box_predictor\.cls_score starts from random values: it has the shape \[81, 32\] in the file/,
    );
    expect(err).toMatch(/WARNING: roi_heads\.mask_head\.predictor starts from random values: it has the shape \[80, 32, 1, 1\]/);
    const rows = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, number | boolean>);
    expect(rows.at(-1)).toMatchObject({ finished: true, iteration: 1 });
    expect(rows[0]!.total_loss).toBeGreaterThan(0);
  });
});

describe('weights of as many classes with other names', () => {
  const named = (names?: readonly string[]) =>
    ({ metadata: names ? { class_names: JSON.stringify(names) } : {} }) as { metadata: Record<string, string> };

  it('are kept, and it is said which class becomes which', () => {
    expect(otherClasses(named(['red', 'blue']), ['red', 'green'], [])).toMatch(
      /^the weights are of other classes, though of as many \(blue is green here\): the heads keep what they learnt, .* start from a backbone alone/,
    );
    expect(otherClasses(named(['a', 'b', 'c', 'd']), ['b', 'c', 'd', 'a'], [])).toMatch(
      /\(a is b here, b is c here, c is d here and 1 more\)/,
    );
    // Published weights do not tell their classes: 80 are those of COCO.
    const own = cocoClassNames.map((name, i) => (i === 79 ? 'comb' : name));
    expect(otherClasses(named(), own, [])).toMatch(/\(toothbrush is comb here\)/);
  });

  it('have nothing to be said of where names agree, are not known, or heads start afresh', () => {
    expect(otherClasses(named(['red', 'blue']), ['red', 'blue'], [])).toBeUndefined();
    expect(otherClasses(named(), cocoClassNames, [])).toBeUndefined();
    expect(otherClasses(named(), ['red', 'blue'], [])).toBeUndefined();
    const fresh = [{ part: 'roi_heads.box_predictor.cls_score', why: 'is not in the file' }];
    expect(otherClasses(named(['red', 'blue']), ['red', 'green'], fresh)).toBeUndefined();
  });

  it('are told of by a training', { timeout: 300_000 }, async () => {
    const given = model(TINY_CONFIG, 'MODEL.ROI_HEADS.NUM_CLASSES=2');
    const path = join(folder, 'others.safetensors');
    await writeSafetensors(path, numbered(given.modelParameters()), { class_names: '["red","green"]' });
    given.dispose();
    const { code, out } = await train('tiny.yaml', 'others', '--weights', path, 'SOLVER.MAX_ITER=1', 'SOLVER.BASE_LR=1e-9');
    expect(code).toBe(0);
    expect(out).toMatch(/^WARNING: the weights are of other classes, though of as many \(green is blue here\)/m);
    expect(out).not.toMatch(/starts from random values/);
  });
});

describe('a backbone alone', () => {
  it("of Caffe2, by Detectron2's address out of the cache, trains a detector", { timeout: 300_000 }, async () => {
    const small = model(SMALL_R50);
    const address = 'detectron2://ImageNetPretrained/MSRA/R-50.pkl';
    const cached = join(folder, 'cache', new URL(addressOf(address).url).host, 'detectron2/ImageNetPretrained/MSRA/R-50.pkl');
    const tensors = await writeCaffe2(cached, small.modelParameters());
    const { code, out, err } = await runMain(
      [
        ...['train', '--config', join(folder, 'r50.yaml'), '--train-json', data.json, '--train-images', data.images, '--offline'],
        ...['--output', join(folder, 'caffe2'), '--device', 'wasm', `MODEL.WEIGHTS=${address}`, 'SOLVER.BASE_LR=0.001'],
      ],
      { MASKRCNN_CACHE: join(folder, 'cache') },
    );
    expect(err).toBe('');
    expect(code).toBe(0);
    const afresh = [...out.matchAll(/WARNING: (\S+) starts from random values: it is not in the file/g)].map(([, part]) => part);
    expect(afresh).toEqual([
      'backbone.fpn',
      'proposal_generator',
      'roi_heads.box_head',
      'roi_heads.box_predictor',
      'roi_heads.mask_head',
    ]);
    const { tensors: trained } = await readCheckpoint(join(folder, 'caffe2', 'model.safetensors'));
    for (const { name } of small.modelParameters()) {
      const got = trained.get(name)!.toFloat32();
      if (name.endsWith('running_mean')) expect(new Set(got), name).toEqual(new Set([0]));
      else if (name.endsWith('running_var')) expect(new Set(got), name).toEqual(new Set([Math.fround(1 - 1e-5)]));
      else if (/bottom_up\.(stem|res2)|bottom_up.*\.norm\./.test(name)) expectSame(got, tensors.get(name)!.data, name);
      else if (name.startsWith('backbone.bottom_up')) {
        const given = tensors.get(name)!.data as Float32Array;
        // Four small steps away from what the file gave.
        expect(got, name).not.toEqual(given);
        expect(Math.max(...got.map((v, i) => Math.abs(v - given[i]!))), name).toBeLessThan(0.05);
      }
    }
    small.dispose();
  });

  it('of torchvision loads by its own names', async () => {
    const small = model(SMALL_R50);
    const parameters = small.modelParameters();
    const tensors = numbered(parameters.filter(({ name }) => name.startsWith('backbone.bottom_up.')));
    const path = join(folder, 'torchvision.pkl');
    const own = new Map([...tensors].map(([name, tensor]) => [name.replace('backbone.bottom_up.', ''), tensor]));
    own.set('stem.fc.weight', { shape: [1], dtype: 'F32', data: Float32Array.of(1) });
    await writeDetectron2Pkl(path, own, { __author__: 'torchvision', matching_heuristics: 'true' });
    const { loaded, fresh } = giveStartWeights(parameters, await readCheckpoint(path), new Random(1));
    expect(loaded).toBe(tensors.size);
    expect(fresh.map(({ part }) => part)).toEqual([
      'backbone.fpn',
      'proposal_generator',
      'roi_heads.box_head',
      'roi_heads.box_predictor',
      'roi_heads.mask_head',
    ]);
    const values = await valuesOf(parameters);
    for (const [name, { data: wanted }] of tensors) expectSame(values.get(name), wanted, name);
    small.dispose();
  });

  it('that a file lacks is an error', async () => {
    const small = model(SMALL_R50);
    const path = join(folder, 'heads.safetensors');
    await writeSafetensors(path, numbered(small.modelParameters().filter(({ name }) => name.startsWith('roi_heads.'))));
    const checkpoint = await readCheckpoint(path);
    expect(() => giveStartWeights(small.modelParameters(), checkpoint, new Random(1))).toThrow(
      /heads\.safetensors: has no tensor of the backbone/,
    );
    small.dispose();
  });
});

describe('the ImageNet backbones of the zoo', () => {
  it('are found by name and by the addresses of configs', () => {
    const base = 'https://dl.fbaipublicfiles.com/';
    expect(Object.fromEntries(imageNetBackbones.map(({ name, url }) => [name, url.slice(base.length)]))).toEqual({
      'ImageNetPretrained/MSRA/R-50': 'detectron2/ImageNetPretrained/MSRA/R-50.pkl',
      'ImageNetPretrained/MSRA/R-101': 'detectron2/ImageNetPretrained/MSRA/R-101.pkl',
      'ImageNetPretrained/FAIR/X-101-32x8d': 'detectron2/ImageNetPretrained/FAIR/X-101-32x8d.pkl',
      'ImageNetPretrained/torchvision/R-50': 'detectron2/ImageNetPretrained/torchvision/R-50.pkl',
      'ImageNetPretrained/FAIR/R-50-GN': 'detectron/ImageNetPretrained/47261647/R-50-GN.pkl',
      'ImageNetPretrained/FAIR/R-101-GN': 'detectron/ImageNetPretrained/47592356/R-101-GN.pkl',
      'ImageNetPretrained/FAIR/X-101-64x4d': 'detectron/ImageNetPretrained/FBResNeXt/X-101-64x4d.pkl',
      'ImageNetPretrained/FAIR/X-152-32x8d-IN5k': 'detectron/ImageNetPretrained/25093814/X-152-32x8d-IN5k.pkl',
    });
    for (const { name, url } of imageNetBackbones) expect(addressOf(name).url).toBe(url);
    expect(addressOf('catalog://ImageNetPretrained/MSRA/R-50').url).toBe(`${base}detectron/ImageNetPretrained/MSRA/R-50.pkl`);
  });

  it('go with every published config that starts from one; other pixels are told', () => {
    let checked = 0;
    for (const name of publishedConfigNames()) {
      const config = getConfig(name);
      const backbone = backboneOf(config.MODEL.WEIGHTS);
      if (!backbone) continue;
      checked++;
      expect(backboneMismatches(backbone, config), name).toEqual([]);
    }
    expect(checked).toBeGreaterThan(30);
    const r50 = getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x');
    expect(backboneMismatches(backboneOf('ImageNetPretrained/torchvision/R-50')!, r50)).toEqual([
      'MODEL.RESNETS.STRIDE_IN_1X1 is true; the backbone was trained with false',
      'INPUT.FORMAT is "BGR"; the backbone was trained with "RGB"',
      'MODEL.PIXEL_STD is [1,1,1]; the backbone was trained with [58.395,57.12,57.375]',
    ]);
  });
});
