import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvertedResidual, MobileBackbone } from '../../examples/own_parts/mobile_backbone.js';
import { logIouLoss, MeanBoxHead, PlainNeck } from '../../examples/own_parts/parts.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';

const folder = mkdtempSync(join(tmpdir(), 'own-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('parts of the example', () => {
  beforeAll(() => useDevice('cpu'));

  it('the backbone and the neck give maps of the strides and widths that they say, and nothing else', () => {
    const neck = new PlainNeck(new MobileBackbone({ stemChannels: 4, channels: 4, norm: '' }), 6, '');
    const x = tf.zeros<tf.Rank.R4>([2, 64, 32, 3]);
    const before = tf.memory().numTensors;
    const maps = neck.forward(x);
    expect(Object.entries(maps).map(([name, { shape }]) => [name, ...shape])).toEqual([
      ['p2', 2, 16, 8, 6],
      ['p3', 2, 8, 4, 6],
      ['p4', 2, 4, 2, 6],
      ['p5', 2, 2, 1, 6],
      ['p6', 2, 1, 1, 6],
    ]);
    tf.dispose(maps);
    expect(tf.memory().numTensors).toBe(before);
    neck.dispose();
    x.dispose();
  });

  it('a block of stride 1 that projects to zero is the identity', async () => {
    const block = new InvertedResidual({ inChannels: 2, outChannels: 2, stride: 1, expansion: 2, norm: '' });
    const x = tf.tensor4d([1, -2, 3, 4, -5, 6, 7, 8], [1, 2, 2, 2]);
    const y = block.forward(x);
    expect([...(await y.data())]).toEqual([1, -2, 3, 4, -5, 6, 7, 8]);
    tf.dispose([x, y]);
    block.dispose();
  });

  it('the head averages, the loss is -log of the overlap', async () => {
    const head = new MeanBoxHead(1, 1);
    head.modelParameters().forEach((p) => p.set(Float32Array.of(p.name === 'fc.weight' ? 2 : 1)));
    const regions = tf.tensor4d([1, 2, 3, 6], [1, 2, 2, 1]);
    const vector = head.forward(regions);
    expect([...(await vector.data())]).toEqual([7]);
    const [a, b] = [tf.tensor2d([[0, 0, 40, 40]]), tf.tensor2d([[0, 0, 20, 40]])];
    const loss = logIouLoss(a, b);
    expect((await loss.data())[0]).toBeCloseTo(-Math.log(801 / 1601), 5);
    tf.dispose([regions, vector, a, b, loss]);
    head.dispose();
  });
});

describe('examples/own_parts/train.ts', () => {
  it('trains a few iterations and writes a model of these parts', { timeout: 600_000 }, async () => {
    const { json, images } = writeTinyData(folder);
    const { images: pictures, annotations } = JSON.parse(readFileSync(json, 'utf8')) as {
      images: { id: number; file_name: string }[];
      annotations: { image_id: number; category_id: number; segmentation: number[][] }[];
    };
    const nameOf = new Map(pictures.map(({ id, file_name }) => [id, file_name]));
    const lines = annotations.map(({ image_id, category_id, segmentation }) =>
      [nameOf.get(image_id), category_id === 10 ? 'red' : 'blue', ...segmentation[0]].join(' '),
    );
    const [config, text, output] = ['tiny.yaml', 'lines.txt', 'run'].map((name) => join(folder, name));
    writeFileSync(config, SMALLEST_CONFIG);
    writeFileSync(text, lines.join('\n'));
    const script = fileURLToPath(new URL('../../examples/own_parts/train.ts', import.meta.url));
    const args = ['--import', 'tsx', script, config, text, images, output, 'SOLVER.MAX_ITER=3'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toMatch(/lowest loss \d+\.\d+ at iteration [0-2]\n/);
    const { tensors, metadata } = await readCheckpoint(join(output, 'model.safetensors'));
    expect(metadata.class_names).toBe('["red","blue"]');
    expect(tensors.get('backbone.bottom_up.res2.0.depthwise.weight')!.shape).toEqual([16, 1, 3, 3]);
    expect(tensors.get('roi_heads.box_head.fc.weight')!.shape).toEqual([16, 8]);
    const rows = readFileSync(join(output, 'metrics.jsonl'), 'utf8').trim().split('\n');
    // Before anything is learnt: a coin toss of object or not.
    expect((JSON.parse(rows[0]) as Record<string, number>)['loss_rpn_cls']).toBeCloseTo(Math.log(2), 1);

    const plain = join(folder, 'plain');
    const neck = ['SOLVER.MAX_ITER=3', 'MODEL.BACKBONE.NAME=build_mobile_plain_backbone'];
    await promisify(execFile)(process.execPath, [...args.slice(0, -2), plain, ...neck]);
    const learnt = await readCheckpoint(join(plain, 'model.safetensors'));
    expect(learnt.tensors.has('backbone.res5.weight')).toBe(true);
  });
});
