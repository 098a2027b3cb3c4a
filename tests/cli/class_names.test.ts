import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/checkpoint/convert.js';
import { parseClassNames } from '../../src/cli/class_names.js';
import { Predictor } from '../../src/engine/predictor.js';

const model = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/model', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'class-names-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe('class names', () => {
  it('are read from a list, a text file, a JSON list and a COCO file', () => {
    expect(parseClassNames('cat, traffic light,dog')).toEqual(['cat', 'traffic light', 'dog']);
    expect(parseClassNames(file('a.txt', 'cat\r\ndog\n\n'))).toEqual(['cat', 'dog']);
    expect(parseClassNames(file('a.json', '["cat","dog"]'))).toEqual(['cat', 'dog']);
    const coco = { categories: [{ id: 9, name: 'dog' }, { id: 2, name: 'cat' }] }; // prettier-ignore
    expect(parseClassNames(file('coco.json', JSON.stringify(coco)))).toEqual(['cat', 'dog']);
  });

  it('are refused with the reason', () => {
    expect(() => parseClassNames('cat,dog,cat')).toThrow(/'cat' is there twice/);
    expect(() => parseClassNames(' , ')).toThrow(/holds no names/);
    expect(() => parseClassNames('none.json')).toThrow(/no file none\.json/);
    expect(() => parseClassNames(file('b.json', '{"categories": [1]}'))).toThrow(/b\.json is neither/);
    expect(() => parseClassNames(file('c.json', '{"categories": '))).toThrow(/c\.json begins like JSON/);
  });

  it.each(['named.safetensors', 'named.pkl'])('travel in %s and are what predictions bear', async (name) => {
    const weights = join(folder, name);
    await convertCheckpoint(join(model, 'model.safetensors'), weights, { classNames: ['box', 'ball', 'wedge'] });
    const predictor = await Predictor.load({ config: join(model, 'config.yaml'), weights }, { device: 'wasm' });
    expect(predictor.classNames).toEqual(['box', 'ball', 'wedge']);
    predictor.dispose();
  });

  it('have to be as many as the classes', async () => {
    const out = join(folder, 'few.safetensors');
    await expect(convertCheckpoint(join(model, 'model.safetensors'), out, { classNames: ['box'] })).rejects.toThrow(
      /1 class names for .*model\.safetensors, whose roi_heads\.box_predictor\.cls_score\.weight has 3 classes/,
    );
    expect(() => readFileSync(out)).toThrow(/ENOENT/);
  });
});
