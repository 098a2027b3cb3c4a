import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelSource } from '../../src/engine/load_model.js';
import { SafetensorsFile } from '../golden/safetensors_file.js';

/** A narrow model of Detectron2's with what it found in its first picture. */
export interface GoldenModel {
  readonly source: ModelSource;
  readonly picture: string;
  /** Of the call `single`: see the goldens' own description. */
  tensor(name: string): Float32Array;
  /** How far a tensor may be off. */
  tolerance(name: string): number;
  /** Height and width of the resized picture. */
  readonly inputSize: readonly [number, number];
  /** Run lengths of the masks in the picture; empty for models without. */
  readonly masks: readonly { readonly size: [number, number]; readonly counts: string }[];
}

interface Manifest {
  single: { image_sizes: [number, number][]; final: { masks_rle?: { size: [number, number]; counts: string }[] }[] };
  tensors: Record<string, { atol?: number }>;
}

/** @param number of the model, such as `07` */
export function goldenModel(golden: string, number: string): GoldenModel {
  const name = readdirSync(join(golden, 'models')).find((entry) => entry.startsWith(`${number}_`));
  if (name === undefined) throw new Error(`${golden}/models has no model ${number}`);
  const folder = join(golden, 'models', name);
  const { single, tensors } = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Manifest;
  const file = new SafetensorsFile(join(folder, 'golden.safetensors'));
  return {
    source: { config: join(folder, 'config.yaml'), weights: join(folder, 'model_final.pkl') },
    picture: join(folder, 'inputs/0.png'),
    tensor: (tensor) => Float32Array.from(file.get(`single.${tensor}`).data),
    tolerance: (tensor) => tensors[`single.${tensor}`].atol ?? 0,
    inputSize: single.image_sizes[0],
    masks: single.final[0].masks_rle ?? [],
  };
}
