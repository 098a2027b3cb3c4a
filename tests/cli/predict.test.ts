import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { runCommandLine } from '../../src/cli/program.js';
import type { CocoResult } from '../../src/data/coco/coco_types.js';
import { predictTiled } from '../../src/engine/predict_tiled.js';
import { Predictor } from '../../src/engine/predictor.js';
import type { BoxXyxy } from '../../src/structures/detected_instances.js';
import type { Prediction } from '../../src/structures/prediction.js';

const fixture = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/', import.meta.url));
const model = join(fixture, 'model');
const pictures = [0, 1].map((i) => join(fixture, `inputs/${i}.png`));
const folder = mkdtempSync(join(tmpdir(), 'predict-'));
const flags = ['--model', model, '--device', 'wasm', '--score', '0.3'];
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

async function run(...args: string[]): Promise<number> {
  for (const method of ['log', 'error'] as const) vi.spyOn(console, method).mockImplementation(() => {});
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  process.exitCode = 0;
  const code = await runCommandLine(args, { out: () => {}, err: () => {} });
  const own = Number(process.exitCode);
  process.exitCode = 0;
  return code || own;
}

interface Written {
  images: {
    height: number;
    width: number;
    instances: { class_name: string; score: number; box: BoxXyxy; mask_area: number }[];
  }[];
}

/** What `predict` writes of the pictures in the formats `json` and `coco`. */
async function written(name: string, ...more: string[]): Promise<{ images: Written['images']; coco: CocoResult[] }> {
  const output = join(folder, name);
  for (const format of ['json', 'coco'])
    expect(await run('predict', ...pictures, ...flags, '--output', output, '--format', format, ...more)).toBe(0);
  const { images } = JSON.parse(readFileSync(join(output, 'predictions.json'), 'utf8')) as Written;
  return { images, coco: JSON.parse(readFileSync(join(output, 'coco_results.json'), 'utf8')) as CocoResult[] };
}

/** The same numbers, floats but for their last bits. */
function expectWritten({ images, coco }: Awaited<ReturnType<typeof written>>, wanted: readonly Prediction[]): void {
  const close = (value: number) => expect.closeTo(value, 4) as number;
  expect(images).toMatchObject(
    wanted.map(({ height, width, instances }) => ({
      height,
      width,
      instances: instances.map(({ className, score, box, mask }) => ({
        class_name: className,
        score: close(score),
        box: box.map(close),
        mask_area: mask!.area(),
      })),
    })),
  );
  expect(coco).toMatchObject(
    wanted.flatMap((prediction, imageId) =>
      prediction.toCoco({ imageId }).map(({ score, bbox, ...row }) => ({ ...row, score: close(score), bbox: bbox!.map(close) })),
    ),
  );
}

const iou = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const side = (i: number) => Math.max(0, Math.min(a[i + 2], b[i + 2]) - Math.max(a[i], b[i]));
  const area = (box: ArrayLike<number>) => (box[2] - box[0]) * (box[3] - box[1]);
  const shared = side(0) * side(1);
  return shared / (area(a) + area(b) - shared);
};

describe('maskrcnn predict', () => {
  let plain: Awaited<ReturnType<typeof written>>;
  /** What Detectron2 is sure of in the first picture. */
  let golden: { box: Float32Array; name: string }[];
  beforeAll(async () => {
    plain = await written('plain');
    const { tensors } = await readSafetensors(join(fixture, 'golden.safetensors'));
    const [boxes, scores, classes] = ['pred_boxes', 'scores', 'pred_classes'].map((name) =>
      tensors.get(`single.final.0.${name}`)!.toFloat32(),
    );
    golden = [...classes]
      .map((label, i) => ({ box: boxes.slice(i * 4, i * 4 + 4), name: ['rectangle', 'circle', 'triangle'][label] }))
      .filter((_, i) => scores[i] > 0.9);
  });

  /** Each of these objects is there once, with a high score. */
  function expectFound({ instances }: Written['images'][number]): void {
    expect(golden).toHaveLength(6);
    for (const { box, name } of golden) {
      const there = instances.filter((instance) => instance.class_name === name && iou(instance.box, box) > 0.7);
      expect(there, `${name} at ${box.join(', ')}`).toHaveLength(1);
      expect(there[0].score).toBeGreaterThan(0.9);
    }
  }

  it('writes what the model finds', async () => {
    expectFound(plain.images[0]);
    const predictor = await Predictor.load(model, { device: 'wasm', scoreThreshold: 0.3 });
    expectWritten(plain, [await predictor.predict(pictures[0]), await predictor.predict(pictures[1])]);
    predictor.dispose();
  });

  it('--tta writes what it finds in several sizes and their mirror images', async () => {
    const found = await written('tta', '--tta', '--tta-sizes', '140,180');
    expect(found.images[0].instances).not.toEqual(plain.images[0].instances);
    expectFound(found.images[0]);
    const overrides = ['TEST.AUG.ENABLED=true', 'TEST.AUG.MIN_SIZES=[140,180]'];
    const predictor = await Predictor.load(model, { device: 'wasm', scoreThreshold: 0.3, overrides });
    expectWritten(found, [await predictor.predict(pictures[0]), await predictor.predict(pictures[1])]);
    predictor.dispose();
  });

  it('--tile writes what all tiles show, joined, in the frame of the picture, in one run or in shards', async () => {
    const tiles = ['--tile', '100', '--overlap', '0.5'];
    const found = await written('tiled', ...tiles);
    expect(found.images[0].instances).not.toEqual(plain.images[0].instances);
    expectFound(found.images[0]);
    const predictor = await Predictor.load(model, { device: 'wasm', scoreThreshold: 0.3 });
    const wanted: Prediction[] = [];
    for (const picture of pictures) wanted.push(await predictTiled(predictor, picture, { tile: 100, overlap: 0.5 }));
    predictor.dispose();
    expectWritten(found, wanted);
    const parts = join(folder, 'parts');
    for (const shard of ['0/2', '1/2'])
      expect(await run('predict', ...pictures, ...flags, ...tiles, '--output', parts, '--format', 'coco', '--shard', shard)).toBe(
        0,
      );
    expect(await run('merge', parts)).toBe(0);
    expect(JSON.parse(readFileSync(join(parts, 'coco_results.json'), 'utf8'))).toEqual(found.coco);
  });
});
