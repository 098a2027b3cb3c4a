import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultConfig } from '../../src/config/index.js';
import type { CocoDataset } from '../../src/data/coco/coco_types.js';
import type { DatasetRecord } from '../../src/data/coco/dataset_records.js';
import { agreeOnSettings, agreeOnStart } from '../../src/distributed/start_agreement.js';
import type { TrainingRunOptions } from '../../src/engine/training_run.js';
import { FrozenBatchNorm } from '../../src/layers/norm.js';
import { useDevice } from '../ops/devices.js';
import { GivenPeers } from './in_process.js';

const folder = mkdtempSync(join(tmpdir(), 'agreement-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => useDevice('cpu'));

/** Notes what a rank says of itself. */
class Listener extends GivenPeers {
  said: number[] = [];

  constructor() {
    super(0, 1, []);
  }

  override gather(bytes: Uint8Array): Uint8Array[] {
    this.said = [...bytes];
    return [bytes];
  }
}

/** Writes the files of a machine. */
function machine(name: string): TrainingRunOptions {
  const root = join(folder, name);
  for (const part of ['images', 'maps', 'panoptic']) {
    mkdirSync(join(root, part), { recursive: true });
    writeFileSync(join(root, part, 'a.png'), 'pixels');
  }
  for (const file of ['train.json', 'val.json']) writeFileSync(join(root, file), '{}');
  const panoptic = { images: [], annotations: [{ image_id: 1, file_name: 'a.png', segments_info: [] }], categories: [] };
  writeFileSync(join(root, 'panoptic.json'), JSON.stringify(panoptic));
  const data = { images: join(root, 'images'), semantic: join(root, 'maps') };
  return {
    config: defaultConfig(),
    train: { json: join(root, 'train.json'), ...data },
    validation: {
      json: join(root, 'val.json'),
      ...data,
      images: join(root, 'images'),
      panoptic: { json: join(root, 'panoptic.json'), folder: join(root, 'panoptic') },
    },
    output: root,
  };
}

/** The two comparisons, as a machine makes them. */
const stages = (options: TrainingRunOptions, device: string, weight: number) => [
  (processes: GivenPeers) => agreeOnSettings(processes, options, device),
  async (processes: GivenPeers) => {
    const norm = new FrozenBatchNorm(1);
    const parameters = norm.modelParameters();
    parameters[0]!.set(Float32Array.of(weight));
    const record = { file_name: join(options.train.images, 'a.png'), sem_seg_file_name: join(options.train.semantic!, 'a.png') };
    const judged = { images: [{ id: 1, file_name: 'a.png', height: 1, width: 1 }] } as unknown as CocoDataset;
    await agreeOnStart(processes, options, [record as DatasetRecord], judged, parameters).finally(() => norm.dispose());
  },
];

/** Compares two machines; the messages where they differ. */
async function compare(one: TrainingRunOptions, two: TrainingRunOptions, device = 'wasm', weight = 1): Promise<string> {
  const messages: string[] = [];
  const first = stages(one, 'wasm', 1);
  for (const [i, stage] of stages(two, device, weight).entries()) {
    const listener = new Listener();
    await first[i]!(listener);
    await stage(new GivenPeers(1, 2, [listener.said])).catch((error: Error) => messages.push(error.message));
  }
  return messages.join(' | ');
}

describe('what processes start from', () => {
  const one = machine('one');

  it('may lie in another folder on every machine', async () => {
    expect(await compare(one, machine('two'))).toBe('');
  });

  it.each<[string, (other: TrainingRunOptions) => void, RegExp]>([
    [
      'a key of the config',
      ({ config }) => (config.SOLVER.BASE_LR = 0.5),
      /: SOLVER\.BASE_LR: rank 0 has 0\.001, rank 1 0\.5\. Give/,
    ],
    ['a seed', ({ config }) => (config.SEED = 4), /: SEED: rank 0 has -1, rank 1 4\. /],
    [
      'annotations',
      ({ train }) => writeFileSync(train.json, '{ }'),
      /: the training annotations: rank 0 has SHA-256 \w+, rank 1 SHA-256 \w+\. /,
    ],
    ['no annotations', ({ train }) => rmSync(train.json), /: the training annotations: rank 0 has SHA-256 \w+, rank 1 none\. /],
    ['other validation', ({ validation }) => writeFileSync(validation!.json, '[]'), /: the validation annotations: /],
    [
      'a picture of another size',
      ({ train }) => writeFileSync(join(train.images, 'a.png'), 'pixel'),
      /: the training pictures: .*; the validation pictures: /,
    ],
    [
      'a missing map',
      ({ train }) => rmSync(join(train.semantic!, 'a.png')),
      /: the semantic maps of the training pictures: .*; the semantic maps of the val/,
    ],
    ['a missing panoptic map', ({ validation }) => rmSync(join(validation!.panoptic!.folder, 'a.png')), /: the panoptic maps: /],
  ])('is refused with %s, by name', async (name, change, message) => {
    const other = machine(name);
    change(other);
    expect(await compare(one, other)).toMatch(message);
  });

  it('is refused with another panoptic file, device, option or weight', async () => {
    const two = machine('third');
    writeFileSync(two.validation!.panoptic!.json, JSON.stringify({ images: [], annotations: [], categories: [] }));
    expect(await compare(one, two)).toMatch(/: the panoptic annotations: .* \| .*: the panoptic maps: /);
    expect(await compare(one, one, 'tensorflow')).toMatch(/: the device: rank 0 has wasm, rank 1 tensorflow\. /);
    expect(await compare(one, { ...one, epochs: 3 })).toMatch(/: --epochs: rank 0 has none, rank 1 3\. /);
    expect(await compare(one, { ...one, resume: true })).toMatch(/: --resume: rank 0 has false, rank 1 true\. /);
    expect(await compare(one, one, 'wasm', 2)).toMatch(/: the weights to start from: rank 0 has SHA-256 \w+, rank 1 SHA-256/);
  });
});
