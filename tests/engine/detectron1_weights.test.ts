import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { Predictor } from '../../src/engine/predictor.js';
import { goldenFolder } from '../golden_folder.js';

const golden = goldenFolder();
const folder = join(golden ?? '', 'models', '01_mask_rcnn_R_50_FPN_3x');

describe.skipIf(golden === undefined || !existsSync(folder))("Detectron1's Mask R-CNN", () => {
  it('loads whole and finds what Detectron2 finds with the weights that it was made from', async () => {
    const weights = join(folder, 'c2', 'full_model.pkl');
    const predictor = await Predictor.load({ config: join(folder, 'config.yaml'), weights }, { device: 'wasm' });
    const { instances } = await predictor.predict(join(folder, 'inputs', '0.png'));
    const { unused, reinitialised } = predictor.loadReport;
    predictor.dispose();
    expect({ unused, reinitialised }).toEqual({ unused: [], reinitialised: [] });
    const { tensors } = await readSafetensors(join(folder, 'golden.safetensors'));
    const values = (name: string) => [...tensors.get(`single.final.0.${name}`)!.toFloat32()];
    expect(instances.map(({ classIndex }) => classIndex)).toEqual(values('pred_classes'));
    // The tolerances of the golden's own README for this file.
    const off = (own: readonly number[], truth: readonly number[]) => Math.max(...own.map((v, i) => Math.abs(v - truth[i]!)));
    expect(off(instances.flatMap(({ box }) => [...box]), values('pred_boxes'))).toBeLessThan(5e-3); // prettier-ignore
    expect(off(instances.map(({ score }) => score), values('scores'))).toBeLessThan(1e-4); // prettier-ignore
    expect(instances.every(({ mask }) => mask !== undefined && mask.area() > 0)).toBe(true);
  }, 120_000);
});
