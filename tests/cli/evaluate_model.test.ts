import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { register } from '../../src/cli/evaluate.js';
import type { CocoAnnotation, CocoDataset, CocoResult } from '../../src/data/coco/coco_types.js';
import { rleArea, rleFromString } from '../../src/data/rle/rle.js';
import { Predictor } from '../../src/engine/predictor.js';
import { categoriesOfClasses } from '../../src/engine/predict_dataset.js';
import type { EvaluationReport } from '../../src/evaluation/evaluation_report.js';

const fixture = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/', import.meta.url));
const model = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/model', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'evaluate-model-'));
const truth = join(folder, 'truth.json');
const modelFlags = ['--config', join(model, 'config.yaml'), '--weights', join(model, 'model.safetensors')];

interface Golden {
  single: { final: { height: number; width: number; masks_rle: { size: [number, number]; counts: string }[] }[] };
}

/** Detectron2's instances in the first picture, as ground truth; the second picture has none. */
async function goldenTruth(): Promise<CocoDataset> {
  const golden = JSON.parse(readFileSync(join(fixture, 'golden.json'), 'utf8')) as Golden;
  const { tensors } = await readSafetensors(join(fixture, 'golden.safetensors'));
  const boxes = tensors.get('single.final.0.pred_boxes')!.toFloat32();
  const classes = tensors.get('single.final.0.pred_classes')!.toFloat32();
  const [{ height, width, masks_rle }] = golden.single.final;
  const annotations = masks_rle.map((segmentation, i): CocoAnnotation => {
    const [x0, y0, x1, y1] = boxes.subarray(i * 4, i * 4 + 4);
    const area = rleArea(rleFromString(segmentation.counts, segmentation.size));
    const category_id = [3, 5, 7][classes[i]];
    return { id: i + 1, image_id: 40, category_id, bbox: [x0, y0, x1 - x0, y1 - y0], area, iscrowd: 0, segmentation };
  });
  return {
    images: [
      { id: 41, file_name: '1.png', height, width },
      { id: 40, file_name: '0.png', height, width },
    ],
    annotations,
    categories: [
      { id: 7, name: 'triangle' },
      { id: 3, name: 'rectangle' },
      { id: 5, name: 'circle' },
    ],
  };
}

beforeAll(async () => {
  cpSync(join(fixture, 'inputs'), folder, { recursive: true });
  writeFileSync(truth, JSON.stringify(await goldenTruth()));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

async function run(...flags: string[]): Promise<{ out: string; err: string }> {
  let [out, err] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
  const program = new Command().exitOverride();
  register(program);
  await program.parseAsync(['evaluate', ...flags], { from: 'user' });
  return { out, err };
}

describe('maskrcnn evaluate with a model', () => {
  it("finds an AP of 1 where the truth is Detectron2's own result", async () => {
    const output = join(folder, 'out');
    const flags = ['--json-file', truth, '--images', folder, '--device', 'wasm', '--limit', '1', '--output', output];
    const { out, err } = await run(...modelFlags, ...flags);
    expect(err).toContain('predicting on wasm: 1 of 1 pictures');
    const report = JSON.parse(readFileSync(join(output, 'evaluation.json'), 'utf8')) as EvaluationReport;
    expect(report.images).toBe(1);
    expect(report.tasks.bbox!.summary['AP']).toBeCloseTo(1, 12);
    expect(report.tasks.segm!.summary['AP']).toBeCloseTo(1, 12);
    expect(out).toBe(readFileSync(join(output, 'evaluation.txt'), 'utf8'));
    const rows = JSON.parse(readFileSync(join(output, 'coco_instances_results.json'), 'utf8')) as CocoResult[];
    expect(rows.length).toBe(report.detections);
    expect(new Set(rows.map(({ image_id }) => image_id))).toEqual(new Set([40]));
    expect(rows.every(({ category_id }) => [3, 5, 7].includes(category_id))).toBe(true);
    expect(readdirSync(output).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('--tta judges what it finds in several sizes and their mirror images', async () => {
    const flags = ['--json-file', truth, '--images', folder, '--device', 'wasm', '--limit', '1'];
    const output = join(folder, 'tta');
    await run(...modelFlags, ...flags, '--output', output, '--tta', '--tta-sizes', '140,180');
    const report = JSON.parse(readFileSync(join(output, 'evaluation.json'), 'utf8')) as EvaluationReport;
    const rows = JSON.parse(readFileSync(join(output, 'coco_instances_results.json'), 'utf8')) as CocoResult[];
    const overrides = ['TEST.AUG.ENABLED=true', 'TEST.AUG.MIN_SIZES=[140,180]'];
    const predictor = await Predictor.load(model, { device: 'wasm', overrides });
    const wanted = (await predictor.predict(join(folder, '0.png'))).toCoco({ imageId: 40, categoryIds: [3, 5, 7] });
    predictor.dispose();
    expect(rows.length).toBe(report.detections);
    const close = (value: number) => expect.closeTo(value, 4) as number;
    expect(rows).toMatchObject(
      wanted.map(({ score, bbox, ...row }) => ({ ...row, score: close(score), bbox: bbox!.map(close) })),
    );
    // Detectron2's own single view is the truth here: found again, but not to the last pixel.
    expect(report.tasks.bbox!.summary['AP50']).toBeGreaterThan(0.9);
    expect(report.tasks.bbox!.summary['AP']).toBeLessThan(1);
  });

  it('names a picture that is missing, or of another size than the data set says, and writes nothing', async () => {
    const output = join(folder, 'none');
    const flags = ['--json-file', truth, '--device', 'wasm', '--output', output];
    await expect(run(...modelFlags, ...flags, '--images', join(folder, 'elsewhere'))).rejects.toThrow(/elsewhere\/0\.png/);
    await expect(run(...modelFlags, ...flags, '--images', folder)).rejects.toThrow(
      /1\.png is \d+x\d+ pixels, the annotation file says \d+x\d+ \(image 41\)/,
    );
    expect(existsSync(output)).toBe(false);
  });

  it('says which options are missing or do not go together', async () => {
    await expect(run('--json-file', truth)).rejects.toThrow(/give --results, or a model/);
    await expect(run('--json-file', truth, '--model', model)).rejects.toThrow(/--images/);
    await expect(run('--json-file', truth, '--results', truth, '--model', model)).rejects.toThrow(/leave out --model/);
    await expect(run('--json-file', truth, ...modelFlags, '--images', folder, '--limit', '0')).rejects.toThrow(/above 0/);
  });
});

describe('categoriesOfClasses', () => {
  const category = (id: number, name: string) => ({ id, name });
  it('goes by name, else by ascending id, else refuses', () => {
    expect(categoriesOfClasses(['a', 'b', 'c'], [category(9, 'c'), category(4, 'a')])).toEqual([4, undefined, 9]);
    expect(categoriesOfClasses(['class 0', 'class 1'], [category(9, 'c'), category(4, 'a')])).toEqual([4, 9]);
    expect(() => categoriesOfClasses(['cat', 'dog', 'cow'], [category(1, 'cot')])).toThrow(
      /1 categories, the model 3 classes, and category 'cot' is none of them \(nearest: c/,
    );
  });
});
