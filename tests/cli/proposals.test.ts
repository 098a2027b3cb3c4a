import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import type { CocoResult } from '../../src/data/coco/coco_types.js';
import { readMetrics } from '../../src/engine/writers/json_lines_writer.js';
import type { ProposalReport } from '../../src/evaluation/box_proposals.js';
import { goldenFolder } from '../golden_folder.js';
import { runMain } from './run_main.js';
import { SMALLEST_CONFIG, writeTinyData } from './tiny_data.js';

const golden = goldenFolder();
const folder = mkdtempSync(join(tmpdir(), 'proposals-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ok = async (...args: string[]) => {
  const { code, out, err } = await runMain(args);
  expect(err.replace(/^warning: .*\n/gm, '').replace(/^(predicting|evaluating|shard).*\n?/gm, '')).toBe('');
  expect(code).toBe(0);
  return out;
};

/** What Detectron2 0.6 says of its own proposals for the truth below; null where it has no number. */
const DETECTRON2 = {
  'AR@100': 51.249998807907104,
  'ARs@100': 50,
  'ARm@100': 51.66667103767395,
  'ARl@100': null,
  'AR@1000': 100,
  'ARs@1000': 100,
  'ARm@1000': 100,
  'ARl@1000': null,
};

describe.skipIf(!golden)("region proposals of Detectron2's model, judged by recall", () => {
  const model = `${golden}/models/13_rpn_R_50_FPN_1x`;
  const truth = join(folder, 'truth.json');
  const flags = ['--config', `${model}/config.yaml`, '--weights', `${model}/model_final.pkl`, '--device', 'wasm'];
  const judged = ['--json-file', truth, '--images', `${model}/inputs`];

  // Some of Detectron2's own proposals, by their rank, as objects of three classes.
  beforeAll(async () => {
    const { tensors } = await readSafetensors(`${model}/golden.safetensors`);
    const boxes = tensors.get('single.final.0.proposal_boxes')!.toFloat32();
    const annotations = [0, 4, 40, 90, 150, 300, 500, 700].map((rank, i) => {
      const [x0, y0, x1, y1] = boxes.subarray(rank * 4, rank * 4 + 4) as unknown as [number, number, number, number];
      const [w, h] = [x1 - x0, y1 - y0];
      return { id: i + 1, image_id: 1, category_id: [3, 5, 7][i % 3], bbox: [x0, y0, w, h], area: w * h, iscrowd: 0 };
    });
    const categories = [3, 5, 7].map((id) => ({ id, name: `class ${id}` }));
    const images = [{ id: 1, file_name: '0.png', height: 140, width: 190 }];
    writeFileSync(truth, JSON.stringify({ images, annotations, categories }));
  });

  function expectRecall(text: string): void {
    const report = JSON.parse(text) as ProposalReport;
    expect([report.images, report.objects, report.proposals]).toEqual([1, 8, 805]);
    expect(Object.keys(report.box_proposals)).toEqual(Object.keys(DETECTRON2));
    for (const [name, value] of Object.entries(DETECTRON2)) {
      if (value === null) expect(report.box_proposals[name], name).toBeNull();
      else expect(report.box_proposals[name], name).toBeCloseTo(value, 4);
    }
  }

  it("has Detectron2's recall on a data set of any categories; so has the file that it leaves", async () => {
    const output = join(folder, 'evaluated');
    expectRecall(await ok('evaluate', ...flags, ...judged, '--output', output, '--json'));
    expect(readdirSync(output).sort()).toEqual(['box_proposals.json', 'evaluation.json', 'evaluation.txt']);
    expect(readFileSync(join(output, 'evaluation.txt'), 'utf8')).toMatch(
      /AR@100 +ARs@100 +ARm@100 +ARl@100 +AR@1000 .*\n51\.25 +50\.00 +51\.67 +- +100\.00/,
    );
    const results = join(output, 'box_proposals.json');
    const rows = JSON.parse(readFileSync(results, 'utf8')) as CocoResult[];
    expect(new Set(rows.map(({ category_id }) => category_id))).toEqual(new Set([1]));
    expectRecall(await ok('evaluate', '--results', results, '--proposals', '--json-file', truth, '--json'));
    const { code, err } = await runMain(['evaluate', ...flags, ...judged, '--proposals']);
    expect([code, err]).toEqual([1, expect.stringContaining('--proposals says what --results holds')]);
  });

  it('has the same from shards', async () => {
    const parts = join(folder, 'parts');
    await ok('evaluate', ...flags, ...judged, '--shard', '0/1', '--output', parts);
    expectRecall(await ok('merge', parts, '--json-file', truth, '--json'));
    expect(readdirSync(parts)).toContain('box_proposals.json');
  });
});

it('a model of region proposals learns, is judged by recall while it trains, and afterwards the same', async () => {
  const data = writeTinyData(folder);
  const config = join(folder, 'config.yaml');
  const output = join(folder, 'run');
  writeFileSync(config, SMALLEST_CONFIG.replace('GeneralizedRCNN', 'ProposalNetwork'));
  await ok(
    'train',
    ...['--config', config, '--weights', 'none', '--train-json', data.json, '--train-images', data.images],
    ...['--val-json', data.val, '--val-images', data.images, '--device', 'wasm', '--output', output],
    ...['SOLVER.MAX_ITER=40', 'SOLVER.BASE_LR=0.01', 'SOLVER.CHECKPOINT_PERIOD=40', 'MODEL.PIXEL_STD=(60.0,60.0,60.0)'],
  );
  const metrics = await readMetrics(join(output, 'metrics.jsonl'));
  const [first, last] = [metrics[0]!, metrics.at(-1)!];
  expect(Object.keys(last)).not.toContain('bbox/AP');
  expect(last['loss_rpn_cls']).toBeLessThan(0.5 * (first['loss_rpn_cls'] as number));
  const recall = last['box_proposals/AR@1000'] as number;
  expect(recall).toBeGreaterThanOrEqual(0);
  const flags = ['--model', output, '--device', 'wasm', '--json-file', data.val, '--images', data.images, '--json'];
  const report = JSON.parse(await ok('evaluate', ...flags)) as ProposalReport;
  expect(report.box_proposals['AR@1000']).toBeCloseTo(recall, 6);
}, 300_000);
