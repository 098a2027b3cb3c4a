import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getConfig } from '../../src/config/index.js';
import { Predictor } from '../../src/engine/predictor.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { readMetrics } from '../../src/engine/writers/json_lines_writer.js';
import type { EvaluationReport } from '../../src/evaluation/evaluation_report.js';
import { runMain } from './run_main.js';
import { TINY_CONFIG, writeTinyData } from './tiny_data.js';

const folder = mkdtempSync(join(tmpdir(), 'keypoints-'));
const names = ['left_corner', 'right_corner', 'middle'];
const sides = ['--set', 'INPUT.MIN_SIZE_TRAIN=[64]', '--set', 'INPUT.RANDOM_FLIP=none'];
let data: ReturnType<typeof writeTinyData>;

interface Coco {
  images: object[];
  annotations: { bbox: [number, number, number, number]; keypoints?: number[]; num_keypoints?: number }[];
  categories: object[];
}

// Rectangles whose upper corners and middle are keypoints; the right corner of every other one is not labelled.
beforeAll(() => {
  data = writeTinyData(folder, 4, ['box']);
  for (const path of [data.json, data.val]) {
    const coco = JSON.parse(readFileSync(path, 'utf8')) as Coco;
    coco.annotations.forEach((annotation, i) => {
      const [x, y, w, h] = annotation.bbox;
      const right = i % 2 === 0 ? [x + w - 1, y, 2] : [0, 0, 0];
      annotation.keypoints = [x, y, 2, ...right, x + w / 2, y + h / 2, 1];
      annotation.num_keypoints = i % 2 === 0 ? 3 : 2;
    });
    coco.categories = coco.categories.map((category) => ({ ...category, keypoints: names, skeleton: [[1, 2]] }));
    writeFileSync(path, JSON.stringify(coco));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('keypoints from annotations to predictions', () => {
  it('train with flips, are evaluated on the way, and come out under their names', { timeout: 300_000 }, async () => {
    const config = join(folder, 'keypoints.yaml');
    const head = '  ROI_KEYPOINT_HEAD: { NUM_KEYPOINTS: 3, CONV_DIMS: [8], MIN_KEYPOINTS_PER_IMAGE: 1 }\n  KEYPOINT_ON: true\n';
    const text = TINY_CONFIG.replace('MASK_ON: true', 'MASK_ON: false').replace('INPUT:', `${head}INPUT:`);
    writeFileSync(config, text.replace('SEED:', 'TEST: { KEYPOINT_OKS_SIGMAS: [0.1, 0.1, 0.1] }\nDATASETS: {}\nSEED:'));
    const output = join(folder, 'run');
    const { code, err } = await runMain([
      ...['train', '--config', config, '--weights', 'none', '--train-json', data.json, '--train-images', data.images],
      ...['--val-json', data.val, '--val-images', data.images, '--device', 'wasm', '--output', output],
      ...['SOLVER.MAX_ITER=3', 'SOLVER.CHECKPOINT_PERIOD=3'],
    ]);
    expect(err).toBe('');
    expect(code).toBe(0);
    const row = (await readMetrics(join(output, 'metrics.jsonl'))).at(-1)!;
    // An untrained heatmap of 56 x 56 pixels is nearly uniform: ln 3136 = 8.05.
    expect(Math.abs((row['loss_keypoint'] as number) - Math.log(56 * 56))).toBeLessThan(2);
    const predictor = await Predictor.load(output, { device: 'wasm', scoreThreshold: 0 });
    expect(predictor.keypointNames).toEqual(names);
    const { instances } = await predictor.predict(join(data.images, '0.png'));
    predictor.dispose();
    expect(instances.length).toBeGreaterThan(0);
    for (const {
      keypoints,
      box: [x0, y0, x1, y1],
    } of instances) {
      expect(keypoints!.map(({ name }) => name)).toEqual(names);
      for (const { x, y } of keypoints!) {
        expect(x).toBeGreaterThanOrEqual(x0 - 1);
        expect(x).toBeLessThanOrEqual(x1 + 1);
        expect(y).toBeGreaterThanOrEqual(y0 - 1);
        expect(y).toBeLessThanOrEqual(y1 + 1);
      }
    }
  });

  it("are evaluated over shards with the config's sigmas: the numbers of one run", { timeout: 300_000 }, async () => {
    const evaluate = (output: string, ...more: string[]) =>
      runMain([
        ...['evaluate', '--model', join(folder, 'run'), '--json-file', data.json, '--images', data.images, '--device', 'wasm'],
        ...['--output', join(folder, output), '--limit', '2', ...more],
      ]);
    expect((await evaluate('whole')).code).toBe(0);
    for (const index of [0, 1]) expect((await evaluate('parts', '--shard', `${index}/2`)).code).toBe(0);
    const merged = await runMain(['merge', join(folder, 'parts'), '--json-file', data.json]);
    expect([merged.code, merged.err]).toEqual([0, '']);
    for (const file of ['coco_instances_results.json', 'evaluation.json'])
      expect(readFileSync(join(folder, 'parts', file), 'utf8')).toBe(readFileSync(join(folder, 'whole', file), 'utf8'));
    const report = JSON.parse(readFileSync(join(folder, 'whole', 'evaluation.json'), 'utf8')) as EvaluationReport;
    expect(report.tasks.keypoints).toBeDefined();
  });

  it('are drawn on the sheet of samples', async () => {
    const sheet = async (name: string, ...more: string[]): Promise<Buffer> => {
      const output = join(folder, name);
      const flags = ['--images', data.images, '--output', output, '--count', '1', '--size', '256', ...sides, ...more];
      const { code, out, err } = await runMain(['dataset', 'preview', data.json, ...flags]);
      expect([code, err], out).toEqual([0, '']);
      return sharp(output).raw().toBuffer();
    };
    const keypoints = ['MODEL.KEYPOINT_ON=True', 'MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS=3'].flatMap((key) => ['--set', key]);
    const plain = await sheet('plain.png');
    const drawn = await sheet('drawn.png', ...keypoints);
    let changed = 0;
    for (let i = 0; i < plain.length; i += 3) if (plain.compare(drawn, i, i + 3, i, i + 3) !== 0) changed++;
    // Five labelled points of some pixels each, and nothing else.
    expect(changed).toBeGreaterThan(5 * 4);
    expect(changed).toBeLessThan(0.1 * (plain.length / 3));
  });

  it('have a warning, before training and on the sheet, where no names say which change places in mirrored pictures', async () => {
    const json = join(folder, 'unsided.json');
    const coco = JSON.parse(readFileSync(data.json, 'utf8')) as Coco;
    coco.categories = coco.categories.map((category) => ({ ...category, keypoints: ['port', 'starboard', 'bow'] }));
    writeFileSync(json, JSON.stringify(coco));
    const warning =
      /^warning: in mirrored pictures no two of the keypoints port, starboard, bow change places: .*INPUT\.KEYPOINT_FLIP_PAIRS/i;
    const lines: string[] = [];
    const run = await prepareTraining({
      config: getConfig(join(folder, 'keypoints.yaml')),
      weights: 'none',
      train: { json, images: data.images },
      output: join(folder, 'unsided'),
      device: 'wasm',
      print: (line) => lines.push(line),
    });
    await run.dispose();
    expect(lines.filter((line) => warning.test(line))).toHaveLength(1);
    const preview = [
      'dataset',
      'preview',
      json,
      '--images',
      data.images,
      '--output',
      join(folder, 'unsided.png'),
      '--count',
      '1',
    ];
    const keypoints = ['MODEL.KEYPOINT_ON=True', 'MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS=3'].flatMap((key) => ['--set', key]);
    const said = await runMain([...preview, ...keypoints, '--set', 'INPUT.MIN_SIZE_TRAIN=[64]']);
    expect(said.code).toBe(0);
    expect(said.err).toMatch(warning);
  });
});
