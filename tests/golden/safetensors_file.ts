import { readFileSync } from 'node:fs';
import { GoldenTensors } from './golden_tensors.js';

export type { GoldenTensor } from './golden_tensors.js';

/** A golden file of the disk. */
export class SafetensorsFile extends GoldenTensors {
  constructor(path: string) {
    super(path, readFileSync(path));
  }
}
