import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DataRunner } from '../index.js';
import { runAnnotations } from './annotations.js';
import { runBoxes } from './boxes.js';
import { runColor } from './color.js';
import { runGeometric } from './geometric.js';
import { runRandomChoices } from './random_choices.js';
import { runSampling } from './sampling.js';
import { runTargets } from './targets.js';

const PARTS: Record<string, DataRunner> = {
  'geometric.json': runGeometric,
  'color.json': runColor,
  'random_choices.json': runRandomChoices,
  'annotations.json': runAnnotations,
  'boxes.json': runBoxes,
  'targets.json': runTargets,
  'sampling.json': runSampling,
};

/** Transforms, augmentation, annotations, boxes, mask targets and sampling: the parts that the folder has. */
export const runTransforms: DataRunner = async (folder, caseName, add) => {
  for (const [file, run] of Object.entries(PARTS)) if (existsSync(join(folder, file))) await run(folder, caseName, add);
};
