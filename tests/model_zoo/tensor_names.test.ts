import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { getConfig, publishedConfigNames } from '../../src/config/index.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import { unsupportedInZooModel, zooModels } from '../../src/model_zoo/index.js';

/** Made by Detectron2 (`scripts/goldens/zoo_names.py`): a digest of the names and shapes of each model's tensors. */
const detectron2 = JSON.parse(
  readFileSync(new URL('../fixtures/model_zoo/tensor_names.json', import.meta.url), 'utf8'),
) as Record<string, { tensors: number; sha256: string }>;

const runs = zooModels.filter((model) => unsupportedInZooModel(model).length === 0).map(({ name }) => name);

describe("models that are said to run have the names and shapes of Detectron2's", () => {
  beforeAll(async () => {
    await startBackend('cpu');
  });
  // Tests that never wait would keep the runner's messages waiting.
  afterEach(() => setImmediate());

  it('are all published models but the one that takes proposals from files', () => {
    const published = Object.keys(detectron2).filter((name) => name !== 'Misc/semantic_R_50_FPN_1x');
    expect(zooModels.map(({ name }) => name).sort()).toEqual(published.sort());
    const others = zooModels.map(({ name }) => name).filter((name) => !runs.includes(name));
    expect(others).toEqual(['COCO-Detection/fast_rcnn_R_50_FPN_1x']);
    expect(publishedConfigNames()).toEqual(expect.arrayContaining(Object.keys(detectron2)));
  });

  it.each([...runs, 'Misc/semantic_R_50_FPN_1x'])('%s', (name) => {
    const model = buildModel(getConfig(name));
    const lines = model.modelParameters().map((parameter) => `${parameter.name} ${parameter.shape.join(',')}\n`);
    const sha256 = createHash('sha256').update(lines.sort(byName).join('')).digest('hex');
    model.dispose();
    expect({ tensors: lines.length, sha256 }).toEqual(detectron2[name]);
  });
});

/** As Python sorts the names: a space comes before everything that is in them. */
function byName(a: string, b: string): number {
  return a < b ? -1 : 1;
}
