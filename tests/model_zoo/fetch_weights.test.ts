import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { publishedConfigNames } from '../../src/config/index.js';
import {
  addressOf,
  cacheFolder,
  cocoClasses,
  fetchWeights,
  unsupportedInZooModel,
  zooModel,
  zooModels,
} from '../../src/model_zoo/index.js';
import { serve, startWeightServer } from './weight_server.js';

const NAME = 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x';
const FILE = 'dl.fbaipublicfiles.com/detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl';

describe('manifest', () => {
  it("holds Detectron2's published models with their configurations", () => {
    expect(zooModels).toHaveLength(64);
    expect(zooModel(`${NAME}.yaml`)).toEqual({
      name: NAME,
      dataset: 'COCO',
      modelId: '137849600',
      url: `https://${FILE}`,
      md5Prefix: 'f10217',
      licence: 'CC-BY-SA-3.0',
      boxAp: 41,
      maskAp: 37.2,
    });
    for (const { name, md5Prefix, url } of zooModels) {
      expect(publishedConfigNames()).toContain(name);
      expect(md5Prefix).toMatch(/^[0-9a-f]{6}$/);
      expect(url).toMatch(/^https:\/\/dl\.fbaipublicfiles\.com\/detectron2\/.+\/\d+\/model_\w+\.pkl$/);
    }
    expect(unsupportedInZooModel(zooModel(NAME))).toEqual([]);
  });

  it('names the nearest for an unknown one', () => {
    expect(() => zooModel('mask_rcnn_R_50_FPN_3x')).toThrow(
      /no published model is called "mask_rcnn_R_50_FPN_3x"; did you mean /,
    );
    expect(() => zooModel('COCO-InstanceSegmentation/mask_rcnn_R_51_FPN_3x')).toThrow(
      /did you mean COCO-InstanceSegmentation\/mask_rcnn_R_50_FPN_/,
    );
  });

  it("has COCO's 80 classes in the models' order", () => {
    expect(cocoClasses).toHaveLength(80);
    expect([0, 11, 79].map((i) => cocoClasses[i])).toEqual([
      { id: 1, name: 'person' },
      { id: 13, name: 'stop sign' },
      { id: 90, name: 'toothbrush' },
    ]);
    expect(cocoClasses.reduce((sum, { id }) => sum + id, 0)).toBe(3596);
    expect(new Set(cocoClasses.map(({ name }) => name)).size).toBe(80);
  });
});

describe('addressOf', () => {
  it("understands Detectron2's schemes", () => {
    expect(addressOf('detectron2://ImageNetPretrained/MSRA/R-50.pkl').url).toBe(
      'https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained/MSRA/R-50.pkl',
    );
    expect(addressOf('catalog://ImageNetPretrained/FAIR/R-50-GN').url).toBe(
      'https://dl.fbaipublicfiles.com/detectron/ImageNetPretrained/47261647/R-50-GN.pkl',
    );
    expect(addressOf(`https://${FILE}`)).toEqual({ url: `https://${FILE}`, md5Prefix: 'f10217' });
    expect(() => addressOf('s3://x/y')).toThrow(/only https:\/\/, detectron2:\/\/ and catalog:\/\//);
    expect(() => addressOf('catalog://x')).toThrow(/the catalogue holds/);
  });
});

it('keeps the cache where it is told, else where the system keeps caches', () => {
  expect(cacheFolder({ MASKRCNN_CACHE: '/x' })).toBe('/x');
  if (process.platform === 'linux') {
    expect(cacheFolder({ XDG_CACHE_HOME: '/c' })).toBe('/c/maskrcnn-ts');
    expect(cacheFolder({})).toMatch(/\/\.cache\/maskrcnn-ts$/);
  }
});

describe('fetchWeights', () => {
  const bytes = new Uint8Array(5000).fill(7);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  let cache: string;
  let server: Awaited<ReturnType<typeof startWeightServer>>;
  beforeEach(async () => {
    cache = mkdtempSync(join(tmpdir(), 'cache-'));
    server = await startWeightServer([serve(bytes)]);
  });
  afterEach(async () => {
    await server.close();
    rmSync(cache, { recursive: true, force: true });
  });

  it('downloads once, then serves from the cache, also offline', async () => {
    const url = `${server.url}weights/r50.pkl`;
    const path = await fetchWeights(url, { cache });
    expect(path.endsWith(join('weights', 'r50.pkl'))).toBe(true);
    expect(readFileSync(path)).toEqual(Buffer.from(bytes));
    expect(await fetchWeights(url, { cache, offline: true })).toBe(path);
    expect(server.requests).toHaveLength(1);
  });

  it('takes a published model from a mirror and checks its MD5', async () => {
    await expect(fetchWeights(NAME, { cache, mirror: server.url, attempts: 1 })).rejects.toThrow(
      /published is f10217; try again/,
    );
    expect(server.requests[0].path).toBe(`/${FILE.slice('dl.fbaipublicfiles.com/detectron2/'.length)}`);
    expect(existsSync(join(cache, FILE))).toBe(false);
  });

  it('says offline what to download and where to put it', async () => {
    await expect(fetchWeights(NAME, { cache, offline: true })).rejects.toThrow(
      `${NAME} is not in the cache and the network is off; download https://${FILE} and save it as ${join(cache, FILE)}`,
    );
  });

  it('notices a cached file that changed', async () => {
    const url = `${server.url}r50.pkl`;
    const path = await fetchWeights(url, { cache });
    writeFileSync(path, bytes.subarray(1));
    await expect(fetchWeights(url, { cache })).rejects.toThrow(/it has 4999 bytes, recorded are 5000; delete it/);
    writeFileSync(path, new Uint8Array(5000));
    await expect(fetchWeights(url, { cache })).rejects.toThrow(`recorded is ${sha256}; delete it and it is downloaded again`);
  });

  it('records a file that was laid there by hand, after the published MD5', async () => {
    const url = `${server.url}r50.pkl`;
    const path = await fetchWeights(url, { cache });
    rmSync(`${path}.json`);
    expect(await fetchWeights(url, { cache, offline: true })).toBe(path);
    expect(JSON.parse(readFileSync(`${path}.json`, 'utf8'))).toEqual({ url, size: 5000, sha256 });
    const wrong = join(cache, FILE);
    mkdirSync(dirname(wrong), { recursive: true });
    writeFileSync(wrong, bytes);
    await expect(fetchWeights(NAME, { cache })).rejects.toThrow(/published is f10217\.\.\.; delete it/);
  });
});
