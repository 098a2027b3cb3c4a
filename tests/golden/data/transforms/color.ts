import { join } from 'node:path';
import {
  RandomBrightness,
  RandomContrast,
  RandomLighting,
  RandomSaturation,
  type Augmentation,
  type Picture,
} from '../../../../src/data/transforms/index.js';
import { compareTensor, type Line } from '../../compare.js';
import { SafetensorsFile } from '../../safetensors_file.js';
import { readJson } from '../json_file.js';
import { ScriptedNumbers } from './scripted_numbers.js';

interface Case {
  type: string;
  weight?: number;
  scale?: number;
  standard_normal?: number[];
  out: string;
  out_for_float_input?: string;
}

/** Colour changes with given weights. */
export async function runColor(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const { cases } = readJson<{ cases: Case[] }>(folder, 'color.json');
  const file = new SafetensorsFile(join(folder, 'color.safetensors'));
  const { shape, data } = file.get('image');
  const [height, width, channels] = shape as [number, number, number];
  for (const c of cases) {
    const augmentation = augmentationOf(c);
    for (const [key, samples, tolerance] of [
      [c.out, Uint8Array.from(data), 1],
      [c.out_for_float_input, Float32Array.from(data), 1e-3],
    ] as const) {
      if (key === undefined) continue;
      const image: Picture = { data: samples, height, width, channels };
      const random = new ScriptedNumbers(c.standard_normal ?? [c.weight!]);
      const out = augmentation.draw({ image }, random).applyImage(image);
      add(compareTensor({ case: caseName, name: key }, { shape, data: out.data }, file.get(key), { abs: tolerance }));
    }
  }
}

function augmentationOf({ type, weight, scale }: Case): Augmentation {
  switch (type) {
    case 'RandomBrightness':
      return new RandomBrightness(weight!, weight!);
    case 'RandomContrast':
      return new RandomContrast(weight!, weight!);
    case 'RandomSaturation':
      return new RandomSaturation(weight!, weight!);
    case 'RandomLighting':
      return new RandomLighting(scale!);
    default:
      throw new Error(`no augmentation for ${type}`);
  }
}
