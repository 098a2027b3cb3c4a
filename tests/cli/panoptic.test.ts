import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { encodePanopticPng, readPanopticPng } from '../../src/data/coco/panoptic_png.js';
import { readPanopticDataset } from '../../src/data/coco/read_panoptic.js';
import { Predictor } from '../../src/engine/predictor.js';
import { readMetrics } from '../../src/engine/writers/json_lines_writer.js';
import type { PixelReport } from '../../src/evaluation/pixel_report.js';
import { goldenFolder } from '../golden_folder.js';
import type { GoldenSegment } from '../golden/models/compare_panoptic.js';
import { runMain } from './run_main.js';
import { SMALLEST_CONFIG, writeTinyData } from './tiny_data.js';

const golden = goldenFolder();
const folder = mkdtempSync(join(tmpdir(), 'panoptic-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ok = async (...args: string[]) => {
  const { code, out, err } = await runMain(args);
  expect(err.replace(/^warning: .*\n/gm, '').replace(/^(predicting|evaluating|shard).*\n?/gm, '')).toBe('');
  expect(code).toBe(0);
  return out;
};

describe.skipIf(!golden)("a panoptic model of Detectron2's", () => {
  const model = `${golden}/models/06_panoptic_fpn_R_50_3x`;
  const truth = join(folder, 'truth');
  const flags = ['--config', `${model}/config.yaml`, '--weights', `${model}/model_final.pkl`, '--device', 'wasm'];

  // Detectron2's own panoptic map is the truth.
  beforeAll(async () => {
    mkdirSync(truth);
    const manifest = JSON.parse(readFileSync(`${model}/golden.json`, 'utf8')) as {
      single: { final: { height: number; width: number; segments_info: GoldenSegment[] }[] };
    };
    const [{ height, width, segments_info }] = manifest.single.final;
    const { tensors } = await readSafetensors(`${model}/golden.safetensors`);
    const ids = Uint32Array.from(tensors.get('single.panoptic_seg.0')!.toFloat32());
    const area = (of: number): number => ids.reduce((sum, id) => sum + Number(id === of), 0);
    writeFileSync(join(truth, '0.png'), await encodePanopticPng({ ids, height, width }));
    const segments = segments_info.map(({ id, isthing, category_id }) => ({
      id,
      category_id: isthing ? 10 + category_id : 20 + category_id,
      area: area(id),
    }));
    const things = [0, 1, 2].map((i) => ({ id: 10 + i, name: `class ${i}`, isthing: 1 }));
    const stuff = [1, 2, 3].map((i) => ({ id: 20 + i, name: `ground ${i}`, isthing: 0 }));
    const images = [{ id: 1, file_name: '0.png', height, width }];
    const annotations = [{ image_id: 1, file_name: '0.png', segments_info: segments }];
    writeFileSync(`${truth}.json`, JSON.stringify({ images, annotations, categories: [...things, ...stuff] }));
  });

  it("has a panoptic quality of 100 where the truth is Detectron2's own map; the files that it leaves have the same", async () => {
    const output = join(folder, 'evaluated');
    const out = await ok(
      'evaluate',
      ...[...flags, '--panoptic-json', `${truth}.json`, '--images', `${model}/inputs`, '--output', output, '--json'],
    );
    const report = JSON.parse(out) as PixelReport;
    expect(report.panoptic!.summary['PQ']).toBeGreaterThan(99.9);
    expect(report.panoptic!.classes.filter(({ tp }) => tp > 0).length).toBe(5);
    // Stuff below the area limit is void in the map, and not judged.
    expect(report.semantic!.classes.map(({ name }) => name)).toEqual(['things', 'ground 1', 'ground 2', 'ground 3']);
    expect(report.semantic!.summary['mIoU']).toBeGreaterThan(80);
    const files = ['--results', join(output, 'panoptic_results.json'), '--panoptic-json', `${truth}.json`, '--json'];
    const again = JSON.parse(await ok('evaluate', ...files)) as PixelReport;
    expect(again.panoptic).toEqual(report.panoptic);
  });

  it('predicts COCO panoptic files', async () => {
    const output = join(folder, 'predicted');
    await ok('predict', `${model}/inputs/0.png`, ...flags, '--format', 'panoptic', '--output', output);
    const dataset = await readPanopticDataset(join(output, 'panoptic.json'));
    expect(dataset.categories.map(({ id, isthing }) => [id, isthing])).toEqual(
      [1, 2, 3, 4, 5, 6].map((id) => [id, id < 4 ? 1 : 0]),
    );
    const [{ segments_info, file_name }] = dataset.annotations;
    const found = await readPanopticPng(join(output, 'panoptic', file_name));
    const wanted = await readPanopticPng(join(truth, '0.png'));
    expect(segments_info.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const differ = found.ids.reduce((sum, id, i) => sum + Number(id !== wanted.ids[i]), 0);
    expect(differ).toBeLessThan(10);
  });
});

describe('training with stuff', () => {
  let data: ReturnType<typeof writeTinyData>;
  const semantic = join(folder, 'semantic');
  const panoptic = join(folder, 'panoptic');
  const config = (kind: string): string => {
    const path = join(folder, `${kind}.yaml`);
    const head = '  SEM_SEG_HEAD: { IN_FEATURES: [p2, p3, p4, p5], NUM_CLASSES: 3, CONVS_DIM: 8, NORM: "" }\n';
    writeFileSync(path, SMALLEST_CONFIG.replace('GeneralizedRCNN', kind).replace('INPUT:', `${head}INPUT:`));
    return path;
  };

  // The upper half is wall, the lower floor, and what is brightly coloured a thing.
  beforeAll(async () => {
    data = writeTinyData(folder);
    mkdirSync(semantic);
    mkdirSync(panoptic);
    const { images } = JSON.parse(readFileSync(data.val, 'utf8')) as { images: { id: number; file_name: string }[] };
    const labels = Uint8Array.from({ length: 64 * 64 }, (_, i) => (i < 32 * 64 ? 1 : 2));
    for (const name of readdirSync(data.images))
      writeFileSync(join(semantic, name), encode({ width: 64, height: 64, data: labels, channels: 1, depth: 8 }));
    const annotations = images.map(({ id, file_name }) => ({
      image_id: id,
      file_name,
      segments_info: [1, 2].map((label) => ({ id: label, category_id: 100 * label, area: 2048, iscrowd: 0 })),
    }));
    for (const { file_name } of images)
      writeFileSync(join(panoptic, file_name), await encodePanopticPng({ ids: Uint32Array.from(labels), height: 64, width: 64 }));
    const categories = [
      { id: 10, name: 'red', isthing: 1 },
      { id: 20, name: 'blue', isthing: 1 },
      { id: 100, name: 'wall', isthing: 0 },
      { id: 200, name: 'floor', isthing: 0 },
    ];
    writeFileSync(`${panoptic}.json`, JSON.stringify({ images, annotations, categories }));
  });

  const train = (kind: string, ...more: string[]): Promise<string> =>
    ok(
      'train',
      ...['--config', config(kind), '--weights', 'none', '--train-json', data.json, '--train-images', data.images],
      ...['--train-semantic', semantic, '--val-json', data.val, '--val-images', data.images, '--device', 'wasm'],
      ...['--output', join(folder, kind), ...more, 'SOLVER.MAX_ITER=2', 'SOLVER.CHECKPOINT_PERIOD=2'],
    );

  /** Evaluates in one run, and in two shards that are merged: every file has the same bytes. */
  const sameOverShards = async (name: string, flags: string[], merge: string[]): Promise<void> => {
    const [whole, parts] = [join(folder, `${name}-whole`), join(folder, `${name}-parts`)];
    const out = await ok('evaluate', ...flags, '--device', 'wasm', '--output', whole);
    for (const index of [0, 1]) {
      const shard = await ok('evaluate', ...flags, '--device', 'wasm', '--output', parts, '--shard', `${index}/2`);
      expect(shard).toMatch(new RegExp(`^shard ${index} of 2: 1 pictures`));
    }
    expect(await ok('merge', parts, ...merge)).toBe(out);
    const files = readdirSync(whole).filter((file) => /\.(json|txt)$/.test(file));
    expect(files).toEqual(expect.arrayContaining(['evaluation.json', 'evaluation.txt']));
    for (const file of files) expect(readFileSync(join(parts, file), 'utf8'), file).toBe(readFileSync(join(whole, file), 'utf8'));
  };

  it('a panoptic model is evaluated while it trains, and keeps the names of stuff', { timeout: 300_000 }, async () => {
    await train('PanopticFPN', '--val-panoptic-json', `${panoptic}.json`);
    const row = (await readMetrics(join(folder, 'PanopticFPN', 'metrics.jsonl'))).at(-1)!;
    expect(row['loss_sem_seg']).toBeGreaterThan(0);
    expect(row['sem_seg/mIoU']).toBeGreaterThanOrEqual(0);
    expect(row).toHaveProperty('sem_seg/IoU-floor');
    expect(row).toHaveProperty('panoptic_seg/PQ');
    const predictor = await Predictor.load(join(folder, 'PanopticFPN'), { device: 'wasm' });
    expect(predictor.semanticClassNames).toEqual(['things', 'wall', 'floor']);
    const { pixels } = await predictor.predict(join(data.images, '0.png'));
    expect(pixels.panoptic!.ids.length).toBe(64 * 64);
    predictor.dispose();
    const flags = ['--model', join(folder, 'PanopticFPN'), '--images', data.images, '--panoptic-json', `${panoptic}.json`];
    await sameOverShards('both', [...flags, '--json-file', data.val], ['--json-file', data.val]);
    for (const name of ['0.png', '1.png']) {
      const [whole, parts] = ['whole', 'parts'].map((kind) => join(folder, `both-${kind}`, 'panoptic_results', name));
      expect(readFileSync(parts!).equals(readFileSync(whole!))).toBe(true);
    }
    const text = readFileSync(join(folder, 'both-parts', 'evaluation.json'), 'utf8');
    const { panoptic: quality, tasks } = JSON.parse(text) as PixelReport & { tasks: object };
    expect(Object.keys(tasks)).toContain('segm');
    expect(quality!.classes.reduce((sum, { tp, fn }) => sum + tp + fn, 0)).toBe(4);
  });

  it(
    'a semantic model trains, is evaluated and predicts, with or without a data set that names objects',
    { timeout: 300_000 },
    async () => {
      await train('SemanticSegmentor', '--val-semantic', semantic);
      const run = join(folder, 'SemanticSegmentor');
      const row = (await readMetrics(join(run, 'metrics.jsonl'))).at(-1)!;
      expect(row).not.toHaveProperty('bbox/AP');
      const flags = ['--model', run, '--device', 'wasm'];
      const judged = ['--json-file', data.val, '--images', data.images, '--semantic', semantic, '--json'];
      const report = JSON.parse(await ok('evaluate', ...flags, ...judged)) as PixelReport;
      expect(report.panoptic).toBeUndefined();
      expect(report.semantic!.summary['mIoU']).toBeCloseTo(row['sem_seg/mIoU'] as number, 6);
      await sameOverShards('semantic', [...flags, ...judged.slice(0, -1)], []);
      const found = JSON.parse(await ok('predict', join(data.images, '0.png'), ...flags, '--output', run, '--json')) as {
        images: { instances: object[]; segments: { area: number }[] }[];
      };
      expect(found.images[0]!.instances).toEqual([]);
      expect(found.images[0]!.segments.reduce((sum, { area }) => sum + area, 0)).toBe(64 * 64);
      const { code, err } = await runMain([
        'predict',
        join(data.images, '0.png'),
        ...flags,
        '--format',
        'panoptic',
        '--output',
        run,
      ]);
      expect(code).toBe(1);
      expect(err).toMatch(/format panoptic needs a panoptic model/);
      // Files against files: the maps against themselves.
      const same = JSON.parse(await ok('evaluate', '--results', semantic, '--semantic', semantic, '--json')) as PixelReport;
      expect(same.semantic!.summary['mIoU']).toBe(100);
      expect(same.semantic!.classes.map(({ name }) => name)).toEqual(['class 1', 'class 2']);
    },
  );
});
