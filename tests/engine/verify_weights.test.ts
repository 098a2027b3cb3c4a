import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { describe as report } from '../../src/cli/info_reports.js';
import { getConfig } from '../../src/config/index.js';
import { verifyWeights } from '../../src/engine/verify_weights.js';
import { cachePath } from '../../src/model_zoo/fetch_weights.js';
import { zooModel } from '../../src/model_zoo/index.js';
import { goldenFolder } from '../golden_folder.js';

const golden = goldenFolder();
const models = `${golden}/models`;
const folder = mkdtempSync(join(tmpdir(), 'verify-'));
const cache = process.env['MASKRCNN_CACHE'];
afterAll(() => {
  if (cache === undefined) delete process.env['MASKRCNN_CACHE'];
  else process.env['MASKRCNN_CACHE'] = cache;
  rmSync(folder, { recursive: true });
});

describe.skipIf(!golden)('verifyWeights', () => {
  beforeAll(async () => {
    await startBackend('cpu');
  });

  it('counts the tensors of a file that fits whole, and leaves nothing behind', async () => {
    const before = tf.memory().numTensors;
    const config = getConfig(`${models}/14_mask_rcnn_R_18_FPN/config.yaml`);
    expect(await verifyWeights(config, `${models}/14_mask_rcnn_R_18_FPN/model_final.pth`)).toBe(142);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('says what does not fit, or is left over', async () => {
    const before = tf.memory().numTensors;
    const mask = `${models}/01_mask_rcnn_R_50_FPN_3x`;
    const faster = getConfig(`${mask}/config.yaml`, ['MODEL.MASK_ON=False']);
    await expect(verifyWeights(faster, `${mask}/model_final.pkl`)).rejects.toThrow(
      /12 tensors have no place in the model: roi_heads\.mask_head/,
    );
    const wider = getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x');
    await expect(verifyWeights(wider, `${mask}/model_final.pkl`)).rejects.toThrow(/does not fit the model/);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is what `maskrcnn info zoo --verify` says of downloaded files', async () => {
    process.env['MASKRCNN_CACHE'] = folder;
    const { name, url } = zooModel('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x');
    const path = cachePath(url, folder);
    mkdirSync(dirname(path), { recursive: true });
    cpSync(`${models}/01_mask_rcnn_R_50_FPN_3x/model_final.pkl`, path);
    const { json } = await report('zoo', [], { verify: true });
    const verified = (json as { models: { name: string; verified?: string }[] }).models.filter((model) => model.verified);
    expect(verified.map((model) => model.name)).toEqual([name]);
    expect(verified[0]!.verified).toMatch(/^does not fit: .*model_final_f10217\.pkl: does not fit the model/);
    await expect(report('MODEL.RPN', [], { verify: true })).rejects.toThrow(/--verify goes with zoo/);
  });
});
